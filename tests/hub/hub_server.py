"""A small Hub on the loopback interface: the calls that huggingface_hub makes to create, upload, list and download."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import yaml

REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
REVISION = r"refs/pr/\d+|[^/]+"
TOKEN = "hf_test"
LARGE = (".safetensors",)  # what the Hub stores apart from git


class Commit(NamedTuple):
    oid: str
    message: str
    files: dict[str, bytes]  # by path


class Hub:
    """Repositories in memory: `repositories[repo][branch]` has the commits."""

    def __init__(self):
        self.repositories: dict[str, dict[str, list[Commit]]] = {}
        self.private: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.cards: list[str] = []
        self.calls: list[str] = []
        hub = self

        class Handler(Requests):
            server_hub = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def add(self, repo: str, branch: str, message: str, files: dict[str, bytes]) -> Commit:
        commits = self.repositories.setdefault(repo, {}).setdefault(branch, [])
        # A branch starts from a commit that another one has, so the count alone would name two of them the same.
        oid = hashlib.sha1(f"{repo} {branch} {len(commits)}".encode()).hexdigest()
        commits.append(Commit(oid, message, files))
        return commits[-1]

    def find(self, repo: str, revision: str | None = None) -> Commit:
        """By branch or by id; `LookupError` is answered with 404."""
        branches = self.repositories.get(repo)
        if branches is None:
            raise LookupError("RepoNotFound")
        if revision is None or revision in branches:
            return branches[revision or "main"][-1]
        for commits in branches.values():
            for commit in commits:
                if commit.oid == revision:
                    return commit
        raise LookupError("RevisionNotFound")

    def messages(self, repo: str, branch: str = "main") -> list[str]:
        return [commit.message for commit in self.repositories[repo][branch]]

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        return self.find(repo, revision).files


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_hub: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.dispatch("GET")

    def do_HEAD(self):
        self.dispatch("HEAD")

    def do_POST(self):
        self.dispatch("POST")

    def do_PUT(self):
        self.dispatch("PUT")

    def dispatch(self, method: str) -> None:
        # Branches such as `refs/pr/1` come with escaped slashes.
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server_hub.calls.append(f"{method} {path}")
        for route_method, pattern, function in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method in route_method:
                known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                if path.startswith(("/api/models/", "/api/repos/")) and method == "POST" and not known:
                    return self.answer({"error": "Invalid username or password."}, 401)
                try:
                    return function(self, body, **match.groupdict())
                except LookupError as error:
                    return self.answer({"error": str(error)}, 404, {"X-Error-Code": str(error)})
        self.answer({"error": f"no route for {method} {path}"}, 404)

    def answer(self, content, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def create(self, body):
        hub, wanted = self.server_hub, json.loads(body)
        repo = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else f"me/{wanted['name']}"
        if repo in hub.repositories:
            return self.answer({"error": "You already created this model repo", "url": f"{hub.url}/{repo}"}, 409)
        hub.add(repo, "main", "initial commit", {".gitattributes": b""})
        if wanted.get("visibility") == "private":
            hub.private.add(repo)
        self.answer({"url": f"{hub.url}/{repo}", "name": repo})

    def branch(self, body, repo, branch):
        hub = self.server_hub
        if branch.startswith("refs/"):
            return self.answer({"error": "Invalid reference for a branch"}, 400)
        if branch in hub.repositories[repo]:
            return self.answer({"error": "Reference already exists"}, 409)
        hub.repositories[repo][branch] = hub.repositories[repo]["main"][:]
        self.answer({})

    def preupload(self, body, repo, revision):
        files = [
            {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(LARGE) else "regular", "shouldIgnore": False}
            for f in json.loads(body)["files"]
        ]
        self.answer({"files": files})

    def lfs_batch(self, body, repo):
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.server_hub.url}/lfs/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects})

    def lfs_upload(self, body, oid):
        if hashlib.sha256(body).hexdigest() != oid:
            return self.answer({"error": "wrong digest"}, 422)
        self.server_hub.objects[oid] = body
        self.answer({})

    def commit(self, body, repo, revision):
        hub, message = self.server_hub, ""
        files = dict(hub.files(repo, revision))
        for line in body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                message = value["summary"]
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
        answer = {"success": True, "hookOutput": ""}
        if "create_pr=1" in self.path:
            number = sum(name.startswith("refs/pr/") for name in hub.repositories[repo]) + 1
            revision = f"refs/pr/{number}"
            answer["pullRequestUrl"] = f"{hub.url}/{repo}/discussions/{number}"
        oid = hub.add(repo, revision, message, files).oid
        self.answer({**answer, "commitOid": oid, "commitUrl": f"{hub.url}/{repo}/commit/{oid}"})

    def info(self, body, repo, revision=None):
        hub = self.server_hub
        found = hub.find(repo, revision)
        siblings = [{"rfilename": path} for path in found.files]
        about = {"id": repo, "modelId": repo, "sha": found.oid, "private": repo in hub.private, "tags": []}
        self.answer({**about, "siblings": siblings})

    def tree(self, body, repo, revision, folder):
        prefix = folder.strip("/") + "/" if folder else ""
        self.answer(
            [
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in self.server_hub.files(repo, revision).items()
                if path.startswith(prefix)
            ]
        )

    def resolve(self, body, repo, revision, path):
        found = self.server_hub.find(repo, revision)
        headers = {"X-Repo-Commit": found.oid}
        data = found.files.get(path)
        if data is None:
            return self.answer({"error": "Entry not found"}, 404, {**headers, "X-Error-Code": "EntryNotFound"})
        headers |= {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "Content-Type": "application/octet-stream"}
        self.answer(data, 200, headers)

    def validate(self, body):
        """The Hub's check of a card's metadata, as far as its answers are documented: a mapping, with known kinds."""
        content = json.loads(body)["content"]
        self.server_hub.cards.append(content)
        try:
            data = yaml.safe_load(content.split("---")[1])
            wrong = [
                name for name in ("license", "pipeline_tag", "library_name") if not isinstance(data.get(name, ""), str)
            ]
        except (yaml.YAMLError, IndexError, AttributeError) as error:
            wrong = [str(error)]
        errors = [{"message": f"{name} must be a string"} for name in wrong]
        self.answer({"errors": errors, "warnings": []}, 400 if errors else 200)


ROUTES = [
    ("POST", "/api/repos/create", Requests.create),
    ("POST", f"/api/models/{REPO}/branch/(?P<branch>.+)", Requests.branch),
    ("POST", f"/api/models/{REPO}/preupload/(?P<revision>.+)", Requests.preupload),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", Requests.lfs_batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", Requests.lfs_upload),
    ("POST", f"/api/models/{REPO}/commit/(?P<revision>.+)", Requests.commit),
    ("GET", f"/api/models/{REPO}(/revision/(?P<revision>.+))?", Requests.info),
    ("GET", f"/api/models/{REPO}/tree/(?P<revision>{REVISION})(?P<folder>/.*)?", Requests.tree),
    ("GET HEAD", f"/{REPO}/resolve/(?P<revision>{REVISION})/(?P<path>.+)", Requests.resolve),
    ("POST", "/api/validate-yaml", Requests.validate),
]
