# SPDX-License-Identifier: Apache-2.0
# shop.py - the little service of the guide: one page, made by the release it was started with.
#
# usage: shop.py RELEASE PORT
# GET / is the page, GET /version the name of the release that this process runs.
import http.server
import importlib.util
import os
import sys

sys.dont_write_bytecode = True
release, port = os.path.realpath(sys.argv[1]), int(sys.argv[2])
version = os.path.basename(release)
spec = importlib.util.spec_from_file_location("page", os.path.join(release, "page.py"))
page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page)


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status, text = 200, version if self.path == "/version" else page.page()
        except Exception as error:
            status, text = 500, f"{type(error).__name__}: {error}"
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Shop).serve_forever()
