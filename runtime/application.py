"""One Tandem in one process: every service built once, over one database and one Temporal client."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Self

from temporalio.client import Client, Interceptor

from connectors.http import Link
from connectors.loading import load_connectors
from connectors.lookups import can_be_asked, looked_up
from connectors.registry import ConnectorRegistry
from connectors.subscribers import Subscribers
from connectors.web.guard import HostGuard, WebSettings
from domain.catalog import CATALOG
from domain.privacy import Masking
from runtime.connections import connect_temporal, open_database
from runtime.settings import Settings
from runtime.settlement_services import SettlementServices
from services.access import Access
from services.accounts import PlatformAccounts
from services.audit import AuditTrail
from services.channels import ChannelService
from services.connection_tests import ConnectionTests
from services.consents import ConsentService
from services.coupons import CouponService
from services.customer_facts import CustomerFactsService
from services.customer_search import CustomerSearch
from services.customer_tags import CustomerTagService
from services.customers import CustomerService
from services.definitions import DefinitionService
from services.erasure import ErasureService, ErasureWorker
from services.event_dispatch import EventDispatcher
from services.events import EventService
from services.export import ExportService
from services.failed_lookups import FailedLookupService
from services.goods import GoodsService
from services.grade_previews import GradePreviews
from services.human_task_steps import HumanTaskSteps
from services.human_tasks import HumanTaskService
from services.identities import IdentityService
from services.imports import Imports
from services.inbox import InboxService
from services.inbox_room import InboxRoom
from services.intake import Intake
from services.invitations import InvitationService
from services.life_events import LifeEventService
from services.lookups import LookupDesk, LookupService
from services.order_reading import OrderReading
from services.orders import OrderService
from services.people import People
from services.platform_tokens import StoredTokens
from services.profiles import ProfileService
from services.pull_reports import PullReports
from services.pull_schedules import PullSchedules
from services.pulls import PullService
from services.push_reading import PushReader
from services.quarantine import QuarantineService
from services.reach import ReachService
from services.release_book import ReleaseBook
from services.releases import ReleaseService
from services.retention import RetentionService
from services.run_reports import RunReports
from services.run_starts import RunStarter
from services.runs import RunService
from services.schedules import ScheduleService
from services.secrets import SecretReader, SecretStore
from services.shared_tags import SharedTags
from services.stream_readings import StreamReadings
from services.streams import StreamDelivery
from services.subscriptions import SubscriptionService
from services.suppressions import SuppressionService
from services.tag_book import StoredTags
from services.tag_rules import RuleBook
from services.tag_trials import TagTrials
from services.tagging import Tagging
from storage.engine import Database

DELIVERY_TIMEOUT_S = 10.0
LONGEST_ANSWER_BYTES = 64 * 1024


class Application(SettlementServices):
    """The composition root that the API, the workers and the commands share.

    Services are made when they are first asked for; `close` ends what was opened.
    """

    def __init__(self, settings: Settings, database: Database, client: Client, connectors: ConnectorRegistry) -> None:
        self.settings = settings
        self.database = database
        self.client = client
        self.connectors = connectors

    @classmethod
    async def connect(cls, settings: Settings, interceptors: Sequence[Interceptor] = (), *, lazy: bool = False) -> Self:
        """A connected application; a lazy one reaches for Temporal at its first use, and again when that failed.

        Raises ConfigurationProblem when a certificate or key is wrong, UnavailableProblem when Temporal cannot be
        reached; a lazy one only for what is wrong with its own files.
        """
        connectors = load_connectors(CATALOG)
        database = open_database(settings, askers=sum(map(can_be_asked, connectors.values())))
        client = await connect_temporal(settings, database, interceptors, lazy=lazy)
        return cls(settings, database, client, connectors)

    async def close(self) -> None:
        """Let go of the database."""
        await self.database.close()

    @cached_property
    def masking(self) -> Masking:
        return CATALOG.masking()

    @cached_property
    def access(self) -> Access:
        pepper = self.settings.token_pepper
        return Access(self.database, pepper.get_secret_value() if pepper else "")

    @cached_property
    def people(self) -> People:
        return People(self.database, self.access)

    @cached_property
    def accounts(self) -> PlatformAccounts:
        return PlatformAccounts(self.database, self.connectors)

    @cached_property
    def customers(self) -> CustomerService:
        return CustomerService(self.database)

    @cached_property
    def profiles(self) -> ProfileService:
        return ProfileService(self.database, self.masking, StoredTags())

    @cached_property
    def customer_search(self) -> CustomerSearch:
        return CustomerSearch(self.database, StoredTags())

    @cached_property
    def erasure(self) -> ErasureService:
        return ErasureService(self.database)

    @cached_property
    def erasure_worker(self) -> ErasureWorker:
        return ErasureWorker(self.database, self.orchestrator, (StoredTags(),))

    @cached_property
    def exports(self) -> ExportService:
        return ExportService(self.database, self.orchestrator)

    @cached_property
    def identities(self) -> IdentityService:
        return IdentityService()

    @cached_property
    def audit(self) -> AuditTrail:
        return AuditTrail(self.database)

    @cached_property
    def secrets(self) -> SecretStore:
        return SecretStore(self.database)

    @cached_property
    def secret_reader(self) -> SecretReader:
        return SecretReader(self.database)

    @cached_property
    def platform_tokens(self) -> StoredTokens:
        return StoredTokens(self.database)

    @cached_property
    def connection_tests(self) -> ConnectionTests:
        return ConnectionTests(self.database, self.connectors, self.platform_tokens)

    @cached_property
    def release_book(self) -> ReleaseBook:
        return ReleaseBook()

    @cached_property
    def starter(self) -> RunStarter:
        return RunStarter(self.database, self.orchestrator, self.release_book)

    @cached_property
    def runs(self) -> RunService:
        return RunService(self.database, self.orchestrator, self.starter, self.masking)

    @cached_property
    def run_reports(self) -> RunReports:
        return RunReports(self.database, self.orchestrator, self.starter)

    @cached_property
    def schedules(self) -> ScheduleService:
        return ScheduleService(self.database, self.client, self.release_book)

    @cached_property
    def releases(self) -> ReleaseService:
        return ReleaseService(self.database, self.schedules.sync)

    @cached_property
    def definitions(self) -> DefinitionService:
        return DefinitionService(
            self.database,
            allowed_hosts=self.settings.http_allowed_hosts or None,
            four_eyes=self.settings.four_eyes_publish,
            level_limit=self.settings.level_limit,
        )

    @cached_property
    def tag_trials(self) -> TagTrials:
        return TagTrials(self.database, self.definitions, four_eyes=self.settings.four_eyes_publish)

    @cached_property
    def events(self) -> EventService:
        return EventService(self.database)

    @cached_property
    def dispatcher(self) -> EventDispatcher:
        return EventDispatcher(self.database, self.orchestrator, self.starter)

    @cached_property
    def rule_book(self) -> RuleBook:
        return RuleBook()

    @cached_property
    def tagging(self) -> Tagging:
        return Tagging(self.database, self.rule_book)

    @cached_property
    def customer_tags(self) -> CustomerTagService:
        return CustomerTagService(self.database, self.rule_book)

    @cached_property
    def grade_previews(self) -> GradePreviews:
        return GradePreviews(self.database)

    @cached_property
    def invitations(self) -> InvitationService:
        return InvitationService(self.database)

    @cached_property
    def consents(self) -> ConsentService:
        return ConsentService(self.database)

    @cached_property
    def life_events(self) -> LifeEventService:
        return LifeEventService(self.database, self.tagging)

    @cached_property
    def suppressions(self) -> SuppressionService:
        return SuppressionService(self.database)

    @cached_property
    def subscriptions(self) -> SubscriptionService:
        return SubscriptionService(self.database, HostGuard(self._stream_settings))

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[StreamDelivery]:
        """Deliveries to subscribers inside this block; what is under way at its end is broken off."""
        subscribers = Subscribers(self._stream_settings)
        delivery = StreamDelivery(self.database, subscribers, self.masking)
        try:
            yield delivery
        finally:
            await delivery.aclose()
            await subscribers.aclose()

    @property
    def _stream_settings(self) -> WebSettings:
        settings = self.settings
        return WebSettings(
            settings.http_allowed_hosts,
            settings.http_allow_private,
            timeout_s=DELIVERY_TIMEOUT_S,
            max_response_bytes=LONGEST_ANSWER_BYTES,
        )

    @cached_property
    def inbox(self) -> InboxService:
        return InboxService(
            self.database,
            self.connectors,
            Intake(IdentityService(), self.tagging, LookupDesk(looked_up(self.connectors)), self.selling),
            most_quarantined=self.settings.quarantine_limit,
        )

    def lookups(self, link: Link) -> LookupService:
        """Asking platforms about people and orders over a link of the caller's."""
        sharing = SharedTags(self.database, self.rule_book)
        orders = OrderReading(self.database, self.connectors, self.connections, link)
        return LookupService(self.database, self.connectors, self.connections, link, sharing, orders)

    @cached_property
    def channels(self) -> ChannelService:
        return ChannelService(self.database, self.connectors, self.connections, self.inbox)

    @cached_property
    def quarantine(self) -> QuarantineService:
        return QuarantineService(self.database, PushReader(self.connectors), self.masking)

    @cached_property
    def failed_lookups(self) -> FailedLookupService:
        return FailedLookupService(self.database)

    @cached_property
    def pull_reports(self) -> PullReports:
        return PullReports(self.database)

    @cached_property
    def inbox_room(self) -> InboxRoom:
        return InboxRoom(self.database, self.settings.inbox_lanes)

    def pulls(self, link: Link) -> PullService:
        """Reading platforms again over a link of the caller's."""
        return PullService(self.database, self.connectors, self.connections, link, self.inbox_room)

    @cached_property
    def pull_schedules(self) -> PullSchedules:
        return PullSchedules(self.database, self.client, self.connectors)

    @cached_property
    def stream_readings(self) -> StreamReadings:
        return StreamReadings(self.database, self.client, self.connectors)

    @cached_property
    def imports(self) -> Imports:
        return Imports(self.database, self.connectors, self.inbox_room)

    @cached_property
    def human_tasks(self) -> HumanTaskService:
        return HumanTaskService(self.database, self.orchestrator, self.masking)

    @cached_property
    def human_task_steps(self) -> HumanTaskSteps:
        return HumanTaskSteps(self.database)

    @cached_property
    def retention(self) -> RetentionService:
        return RetentionService(self.database, self.settings.retention)

    @cached_property
    def coupons(self) -> CouponService:
        return CouponService(self.database)

    @cached_property
    def orders(self) -> OrderService:
        return OrderService(self.database)

    @cached_property
    def goods(self) -> GoodsService:
        return GoodsService(self.database)

    @cached_property
    def customer_facts(self) -> CustomerFactsService:
        return CustomerFactsService(self.database)

    @cached_property
    def reach(self) -> ReachService:
        return ReachService(self.database, self.settings.reach_policy)
