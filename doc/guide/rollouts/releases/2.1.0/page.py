# SPDX-License-Identifier: Apache-2.0
prices = {"coffee": "2.00"}


def page():
    return f"Welcome to the shop. Coffee: {prices['coffee']}, tea: {prices['tea']}"
