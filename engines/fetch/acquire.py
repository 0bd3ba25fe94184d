"""One `models fetch`: gets the networks of each role, falls back to the next candidate, and reports what that means."""
from typing import Dict, List, NamedTuple, Optional, Sequence

from edge.core.errors import ModelError
from edge.host import commands
from edge.host.disk import StorageError
from engines.fetch.fetch import Fetcher, Unavailable
from engines.fetch.store import build_network, forget, index_or_empty, is_current, is_damaged, lint_stored
from engines.lint.gate import FAULTS, LINT
from engines.manifest.entries import Manifest, Network, Role
from engines.onnxpackage import missing, need_converters
from engines.progress import Report, size_text


class Failure(NamedTuple):
    """Why a network is not there."""

    step: str  # "fetched" or "converted"
    reason: str


class Acquisition:
    """Tries each network at most once and keeps the result."""

    def __init__(self, manifest: Manifest, home: str, force: bool, report: Report) -> None:
        self.manifest, self._home, self._force, self._report = manifest, home, force, report
        self._fetcher = Fetcher(manifest, home, report)
        self.ready: List[str] = []
        self.failures: Dict[str, Failure] = {}

    def ensure(self, name: str) -> bool:
        """Fetch and build, unless that was done.

        Raises what no other network would mend: StorageError, and ModelError where a package is missing.
        """
        if name not in self.ready and name not in self.failures:
            network = self.manifest.network(name)
            failure = self._attempt(network)
            if failure is None or self._keeps_older(network, failure):
                self.ready.append(name)
                self._keep_references(name)
            else:
                self.failures[name] = failure
        return name in self.ready

    def _keep_references(self, name: str) -> None:
        from engines.verify import references  # needs numpy, which `models list` does without
        references.keep_current(self._home, name)

    def _attempt(self, network: Network) -> Optional[Failure]:
        if not self._force and is_current(network, self._home):
            linted = lint_stored(network, self._home)
            self._report_row(network, "up to date" + (", linted anew" if linted else ""))
            return None
        if not network.is_asset:
            need_converters(network.name)
        try:
            fetched = self._fetcher.fetch(network)
            build_network(network, fetched.files, self._home, self._force)
        except StorageError:
            raise
        except Unavailable as e:
            return Failure("fetched", str(e))
        except ModelError as e:
            if isinstance(e.__cause__, ImportError):
                raise missing(e.__cause__.name or "onnx", "models fetch {}".format(network.name)) from e.__cause__
            return Failure("converted", str(e))
        self._report_row(network, "{} from {}, built".format(size_text(network.size), " and ".join(fetched.origins)))
        return None

    def _keeps_older(self, network: Network, failure: Failure) -> bool:
        """Whether an earlier build can still be used. A damaged one is forgotten, so that the next candidate is."""
        entry = index_or_empty(self._home).get(network.name)
        if entry is None:
            return False
        if is_damaged(self._home, entry):
            forget(network.name, self._home)
            return False
        lint_stored(network, self._home)
        self._report_row(network, "an older version is kept, as the new one cannot be {} ({})".format(*failure))
        return True

    def _report_row(self, network: Network, text: str) -> None:
        self._report.line("{:9} {:15}  {}".format("+".join(network.roles), network.name, text))
        faults = index_or_empty(self._home)[network.name].get(LINT, {}).get(FAULTS)
        if faults:
            self._report.line("{:25}  TensorRT 8.2 would refuse or misread it: `{}`".format(
                "", commands.command("models lint " + network.name)))

    def why(self, names: Sequence[str]) -> str:
        """What these networks cannot be, and why; each reason once."""
        failures = [self.failures[name] for name in names]
        steps: List[str] = []
        reasons: List[str] = []
        for failure in failures:
            steps += [failure.step] if failure.step not in steps else []
            reasons += [failure.reason] if failure.reason not in reasons else []
        return "cannot be {} ({})".format(" or ".join(steps), "; ".join(reasons))

    def role(self, role: Role) -> bool:
        """Whether the role is filled, also by the network of an earlier one, or optional. Where its network does the work of a
        later stage, too, one that does not is fetched as well. Reports where a role is not filled by the preferred network.
        """
        filled = self.manifest.fills(self.ready, role.name)
        failed: List[str] = []
        for name in role.candidates:
            if not self.ensure(name):
                failed.append(name)
                continue
            if failed and not filled:
                self._report.line("{}: {} takes the place of {}, which {}".format(
                    role.name, name, " and ".join(failed), self.why(failed)))
            filled = True
            if not self.manifest.is_shared(name):
                break
        if not filled and not role.required:
            self._report.line("{}: {}, as {} {}".format(
                role.name, role.without, " and ".join(failed), self.why(failed)))
        return filled or not role.required

    def rest(self, names: Sequence[str]) -> None:
        """Networks that nothing depends on: those that fail are grouped by the reason."""
        groups: Dict[str, List[str]] = {}
        for name in names:
            if name not in self.failures and not self.ensure(name):
                groups.setdefault(self.why([name]), []).append(name)
        for reason, failed in groups.items():
            self._report.line("{} {}".format(", ".join(failed), reason))
