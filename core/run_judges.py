"""The judges of a run. They are kept in its directory when it is made, so that editing a file later changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .commands import ReplaceJudge
from .config import JudgeConfig, RunConfig
from .errors import JudgeError
from .files import write_atomic
from .judge.spec import JudgeSpec
from .run_dir import RunDir

JUDGE, REFEREE = "judge.toml", "referee.toml"


@dataclass(frozen=True)
class Judges:
    """What scores a run's responses."""

    judge: JudgeSpec
    referee: JudgeSpec | None = None
    folder: Path | None = None
    """Where the account of what they cost is kept; None: it ends with the process."""


def judges_of(config: JudgeConfig) -> Judges:
    """The judges that a configuration names, apart from any run."""
    return Judges(spec_of(config), referee_of(config))


def judges_in(run: RunDir, config: RunConfig, version: str = "") -> Judges:
    """The judges of a run, with the one of ``version`` where it was replaced."""
    return Judges(judge_in(run, config, version), referee_in(run, config), run.judges)


def spec_of(config: JudgeConfig) -> JudgeSpec:
    """The judge that a configuration names. Raises ``JudgeError`` with one sentence if it cannot be used."""
    return _named(config.file) if config.file else rubric_spec(config)


def referee_of(config: JudgeConfig) -> JudgeSpec | None:
    """The second judge that a configuration names, if it names one."""
    return _named(config.referee) if config.referee and config.referee_share > 0 else None


def rubric_spec(config: JudgeConfig) -> JudgeSpec:
    """The offline rules with the weights and experiments of a configuration."""
    return JudgeSpec(
        name="rubric",
        backend="rubric",
        weights=config.weights,
        noise_sd=config.noise_sd,
        delay_s=config.delay_s,
        failure_rate=config.failure_rate,
    )


def keep_judges(run: RunDir, judges: Judges) -> None:
    """Write the judges that a new run begins with into it. Raises ``OSError``."""
    from .judge.spec_file import dump_spec

    for name, spec in ((JUDGE, judges.judge), (REFEREE, judges.referee)):
        if spec is not None:
            write_atomic(run.judges / name, dump_spec(spec).encode())


def keep_version(run: RunDir, version: str, spec: JudgeSpec) -> Path:
    """Every judge version that a run used stays with it, with what is known of its worth, so that a score can be read
    years later.
    """
    from .judge.spec_file import dump_spec
    from .judge.workbench.kept import copy_calibration

    path = run.judges / f"{version}.toml"
    if not path.exists():
        write_atomic(path, dump_spec(spec).encode())
    copy_calibration(run.judges, version)
    return path


def offer_judge(run: RunDir, spec: JudgeSpec, fault: str) -> ReplaceJudge:
    """Keep a judge in a run and give the command that asks the run's worker for it; sending it is the caller's.

    Raises ``JudgeError``, its sentence begun by ``fault``, for a judge that cannot be used, or ``OSError``.
    """
    from .judge.spec_file import version_of_spec

    version = version_of_spec(usable(spec, fault))
    keep_version(run, version, spec)
    return ReplaceJudge(version=version)


def usable(spec: JudgeSpec, fault: str) -> JudgeSpec:
    """The judge, if the lint finds no error in it. Raises ``JudgeError``, its sentence begun by ``fault``."""
    from .judge.spec_file import lint_spec

    if errors := lint_spec(spec).errors:
        raise JudgeError(f"{fault}: {errors[0]}")
    return spec


def judge_in(run: RunDir, config: RunConfig, version: str = "") -> JudgeSpec:
    """The judge that a run began with, or a later version of it. Raises ``JudgeError`` if its file is lost."""
    from .judge.spec_file import load_spec

    path = run.judges / (f"{version}.toml" if version else JUDGE)
    if not path.exists() and not version:
        return spec_of(config.judge)  # made by hand, or before judges were kept
    return load_spec(path)


def judge_name(run: RunDir, config: RunConfig) -> str:
    """What a person calls the judge that a run began with: its name and its model."""
    if not config.judge.file:
        return config.judge.backend
    try:
        spec = judge_in(run, config)
    except JudgeError:
        return config.judge.file
    return f"{spec.name} {spec.model or spec.backend}"


def referee_in(run: RunDir, config: RunConfig) -> JudgeSpec | None:
    """The second judge of a run."""
    from .judge.spec_file import load_spec

    path = run.judges / REFEREE
    return load_spec(path) if path.exists() else referee_of(config.judge)


def _named(name: str) -> JudgeSpec:
    from .judge.open import open_spec

    return usable(open_spec(name), f"judge '{name}'")
