"""The page at /: the jobs, for people. Nothing of it comes from elsewhere, and no script is in it."""
from html import escape
from typing import Any, Iterable, Mapping
from urllib.parse import quote

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
COLUMNS = (("job_key", "job"), ("module_name", "module"), ("status", "status"), ("progress", "session"),
           ("start_time", "began"), ("end_time", "ended"))
CANCEL = '<form method="post" action="/cancel"><input type="hidden" name="jobID" value="{}"><button>cancel</button></form>'
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>nanoface: jobs</title>
<style>body{{font:15px sans-serif;margin:2em}}td,th{{padding:.3em 1em;text-align:left;border-bottom:1px solid #ccc}}
form{{margin:0}}</style></head><body><h1>Jobs</h1>
<table><tr>{head}<th></th><th></th></tr>
{rows}
</table>{none}</body></html>
"""


def page(jobs: Iterable[Mapping[str, Any]]) -> str:
    rows = [_row(job) for job in jobs]
    return PAGE.format(head="".join("<th>{}</th>".format(title) for _, title in COLUMNS), rows="\n".join(reversed(rows)),
                       none="" if rows else "<p>There is none yet.</p>")


def _row(job: Mapping[str, Any]) -> str:
    cells = "".join("<td>{}</td>".format(escape(str(job[key]))) for key, _ in COLUMNS)
    log = '<a href="/log/{}">log</a>'.format(quote(str(job["job_key"]), safe=""))
    cancel = CANCEL.format(escape(str(job["job_key"]))) if job["status"] in ("WAITING", "RUNNING") else ""
    return "<tr>{}<td>{}</td><td>{}</td></tr>".format(cells, log, cancel)
