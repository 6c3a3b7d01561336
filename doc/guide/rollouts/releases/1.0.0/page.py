# SPDX-License-Identifier: Apache-2.0
def page():
    return "Welcome to the shop."
