import { PgdbaError } from "../../errors.ts";
import type { Command } from "../command.ts";
import { runRunbook } from "../run-runbook.ts";

export default {
  name: "run",
  place: 1,
  summary: "Run a runbook",
  usage: "<runbook> [--<param> <value> …]",
  takes: "runbook",
  readsFlags: true,
  async run(front, parsed, words) {
    const [name, ...rest] = words;
    if (!name) {
      throw new PgdbaError("usage", "Which runbook?", {
        hint: "`pgdba list` shows them; then `pgdba run NAME`.",
      });
    }
    return runRunbook(front, name, parsed, rest);
  },
} satisfies Command;
