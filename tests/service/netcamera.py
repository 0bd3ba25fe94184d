"""A camera of the network for the boot: the demo as Motion JPEG at http://127.0.0.1:8090/, twenty frames a second."""
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

PORT, FPS = 8090, 20.0


class Camera(BaseHTTPRequestHandler):
    pictures = ()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
        self.end_headers()
        began, seq = time.monotonic(), 0
        while True:
            picture = self.pictures[seq % len(self.pictures)]
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
            self.wfile.write(picture + b"\r\n")
            seq += 1
            time.sleep(max(0.0, began + seq / FPS - time.monotonic()))

    def log_message(self, *words):
        """Says nothing."""


class Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True


def main():
    import cv2

    from edge.sources import portrait

    face = portrait.load()
    Camera.pictures = [cv2.imencode(".jpg", portrait.render(face, seq))[1].tobytes() for seq in range(0, 60, 2)]
    Server(("127.0.0.1", PORT), Camera).serve_forever()


if __name__ == "__main__":
    main()
