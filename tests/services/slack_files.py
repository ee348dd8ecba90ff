"""Files of Slack's double: an upload is announced with its length, sent, completed, and only then can be on a card."""

import itertools
import json

from fastapi.responses import PlainTextResponse

PNG = b"\x89PNG\r\n\x1a\n"


class Files:
    """`done` has the bytes of each completed file by id; `titles` and `alts` what was said of it.

    The next `unready` cards with a picture are refused, as while Slack still works on the file.
    """

    def __init__(self):
        self.unready = 0
        self.done, self.titles, self.alts = {}, {}, {}
        self._announced, self._sent, self._ids = {}, {}, itertools.count(1)

    def serve(self, app):
        async def upload(request):
            name, body = request.path_params["name"], await request.body()
            if name not in self._announced or len(body) != self._announced[name]:
                return PlainTextResponse("length", 400)
            self._sent[name] = body
            return PlainTextResponse(f"OK - {len(body)}")

        app.add_route("/upload/{name}", upload, methods=["POST"])

    def begin(self, base, values):
        if not values.get("filename") or int(values.get("length", 0)) <= 0:
            return {"ok": False, "error": "invalid_arguments"}
        name = f"F0{next(self._ids)}"
        self._announced[name] = int(values["length"])
        self.alts[name] = values.get("alt_txt", "")
        return {"ok": True, "file_id": name, "upload_url": base.replace("/api/", "/upload/") + name}

    def complete(self, values):
        files = values["files"]
        files = json.loads(files) if isinstance(files, str) else files
        for one in files:
            if one["id"] not in self._sent:
                return {"ok": False, "error": "file_not_found"}
            self.done[one["id"]] = self._sent[one["id"]]
            self.titles[one["id"]] = one.get("title", "")
        return {"ok": True, "files": [{"id": one["id"], "title": one.get("title")} for one in files]}

    def check(self, blocks):
        """The rule for images: a file of this workspace, complete, and a picture."""
        for block in blocks:
            if block["type"] == "image":
                content = self.done.get(block["slack_file"]["id"])
                if self.unready:
                    self.unready -= 1
                    return "invalid_blocks: invalid slack file"
                if content is None or not content.startswith(PNG):
                    return "invalid_blocks: invalid slack file"
        return ""
