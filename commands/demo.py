"""The demo that `tandem up` fills a fresh installation with, and its logins kept to be shown again."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import httpx

from commands.yaml_files import read_file
from domain.access import system_actor
from domain.dsl.findings import Finding
from domain.dsl.source import decode_source
from domain.problems import CommunicationProblem, ProblemError, Text, ValidationProblem
from runtime.application import Application
from runtime.configuration import secrets_dir
from runtime.keys import read_secret, write_secret
from runtime.settings import Settings
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from services.organisation import OrganisationTree
from services.setup import DemoLogin, DemoSetup

_LOGINS = "demo_logins.json"
_DEFINITIONS = Path(__file__).parents[1] / "definitions"


class Demo:
    """Fills an installation, or what it still lacks; what is there already is left as it is."""

    def __init__(self, application: Application) -> None:
        self._settings = application.settings
        self._setup = DemoSetup(
            system_actor("demo"),
            OrganisationTree(application.database),
            application.people,
            application.access,
            application.accounts,
            # Nobody else is there yet who could publish what the demo wrote.
            DefinitionService(application.database, allowed_hosts=None, four_eyes=False),
            application.releases,
        )

    async def people(self) -> list[DemoLogin]:
        """Everybody's logins: those of the people made now, and those kept from earlier starts."""
        new = await self._setup.people()
        logins = {login.login: login for login in (*kept_logins(self._settings), *new)}
        if new:
            text = json.dumps([asdict(login) for login in logins.values()], ensure_ascii=False)
            write_secret(secrets_dir(self._settings), _LOGINS, text)
        return list(logins.values())

    async def definitions(self) -> int:
        """How many versions of the sample definitions are new.

        :raises ProblemError: a sample was edited into something broken, or without a new version.
        """
        texts = sample_texts(_DEFINITIONS)
        return await self._setup.load(texts) if texts else 0

    async def accounts(self) -> int:
        """How many of the simulator's shops and corps are newly connected.

        :raises CommunicationProblem: the simulator does not answer.
        """
        address = self._settings.simulator_address
        try:
            async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
                answer = await client.get(f"{address}/_sim/accounts")
                answer.raise_for_status()
        except httpx.HTTPError as error:
            raise CommunicationProblem(
                Text(
                    f"平台模拟器（{address}）没有应答：{error}", f"The simulator at {address} does not answer: {error}"
                )
            ) from error
        return await self._setup.connect(answer.json()["accounts"])


def sample_texts(folder: Path) -> list[SourceText]:
    """Every definition below the folder, named from there. Raises ValidationProblem for one in another encoding."""
    texts = []
    for file in sorted(folder.rglob("*.yaml")):
        name = str(file.relative_to(folder))
        text = decode_source(read_file(file))
        if isinstance(text, Finding):
            raise ValidationProblem(Text(f"{name}：{text.message.zh}", f"{name}: {text.message.en}"))
        texts.append(SourceText(name, text))
    return texts


def kept_logins(settings: Settings) -> Sequence[DemoLogin]:
    """The logins of earlier starts."""
    text = read_secret(secrets_dir(settings), _LOGINS)
    try:
        return [DemoLogin(**login) for login in json.loads(text or "[]")]
    except (ValueError, TypeError):
        return []


async def fill(application: Application, *, with_accounts: bool) -> tuple[list[DemoLogin], list[Text]]:
    """Fill the installation; its logins, and what was done or could not be done, as sentences."""
    demo = Demo(application)
    logins = await demo.people()
    said = []
    try:
        loaded = await demo.definitions()
        said.append(Text(f"示例定义：新增 {loaded} 个版本", f"sample definitions: {loaded} new versions"))
    except ProblemError as error:
        # An edited sample must not keep the house from starting: `tandem flow push` shows the findings.
        reason = _message(error)
        said.append(Text(f"示例定义未更新：{reason.zh}", f"the sample definitions were left alone: {reason.en}"))
    if with_accounts:
        connected = await demo.accounts()
        said.append(Text(f"已连接模拟店铺：新增 {connected} 个", f"simulated shops: {connected} newly connected"))
    return logins, said


def _message(error: ProblemError) -> Text:
    message = error.problem.as_dict().get("message") or {}
    return Text(message.get("zh", str(error)), message.get("en", str(error)))
