"""`tandem settle …`: settlement, payouts and reconciliation, one group of commands."""

import typer

from commands.bank_payouts import bank_answer, bank_check, bank_file
from commands.bill_terms import bill_terms, confirm_terms
from commands.bills import confirm_bill, list_bills, withdraw_bill
from commands.facts import import_facts
from commands.payouts import (
    approve_payouts,
    call_off_payouts,
    list_batches,
    plan_payouts,
    show_confirmation,
    show_payouts,
)
from commands.reconciliation import list_breaks, list_unreconciled, reconcile
from commands.sale_corrections import approve_correction, correct_sale, list_corrections, note_fact
from commands.settlement import (
    approve_run,
    close_period,
    list_runs,
    note_rate,
    settle_period,
    show_order,
    show_run,
    tell_scheme,
)
from commands.settlement_calculations import list_calculations, preview, repeat_calculation, what_if
from commands.settlement_comparison import compare_calculations
from commands.settlement_due import settle_due
from commands.settlement_explain import explain
from commands.settlement_payees import list_payees
from commands.settlement_reports import list_reports, make_statement, show_report, show_tie_out

settle = typer.Typer(help="结算 / settlement", no_args_is_help=True)
settle.command("scheme")(tell_scheme)
settle.command("order")(show_order)
settle.command("correct")(correct_sale)
settle.command("corrections")(list_corrections)
settle.command("approve-correction")(approve_correction)
settle.command("rate")(note_rate)
# A count below nothing is no option.
settle.command("fact", context_settings={"ignore_unknown_options": True})(note_fact)
settle.command("import-facts")(import_facts)
settle.command("preview")(preview)
settle.command("what-if")(what_if)
settle.command("compare")(compare_calculations)
settle.command("repeat")(repeat_calculation)
settle.command("calculations")(list_calculations)
settle.command("run")(settle_period)
settle.command("due")(settle_due)
settle.command("runs")(list_runs)
settle.command("status")(show_run)
settle.command("approve")(approve_run)
settle.command("close")(close_period)
settle.command("payees")(list_payees)
settle.command("explain")(explain)
settle.command("pay")(plan_payouts)
settle.command("batches")(list_batches)
settle.command("payouts")(show_payouts)
settle.command("approve-payouts")(approve_payouts)
settle.command("call-off")(call_off_payouts)
settle.command("confirmation")(show_confirmation)
settle.command("bank-file")(bank_file)
settle.command("bank-check")(bank_check)
settle.command("bank-answer")(bank_answer)
settle.command("reconcile")(reconcile)
settle.command("breaks")(list_breaks)
settle.command("bills")(list_bills)
settle.command("confirm-bill")(confirm_bill)
settle.command("withdraw-bill")(withdraw_bill)
settle.command("unreconciled")(list_unreconciled)
settle.command("terms")(bill_terms)
settle.command("confirm-terms")(confirm_terms)
settle.command("reports")(list_reports)
settle.command("report")(show_report)
settle.command("statement")(make_statement)
settle.command("tie-out")(show_tie_out)
