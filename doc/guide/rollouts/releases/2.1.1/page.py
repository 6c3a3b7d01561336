# SPDX-License-Identifier: Apache-2.0
prices = {"coffee": "2.00", "tea": "1.50"}


def page():
    return f"Welcome to the shop. Coffee: {prices['coffee']}, tea: {prices['tea']}"
