import { PgdbaError } from "../../errors.ts";
import { approveRequest, makeKey, waiting } from "../approve.ts";
import type { Command } from "../command.ts";

export default {
  name: "approve",
  place: 9,
  summary: "Approve what somebody else may not do by themselves, or list what waits for it",
  usage: "[<request id>] [--key FILE] [--new-key FILE]",
  flags: {
    key: {
      type: "string",
      file: true,
      summary: "Sign with the private ed25519 key in this file, instead of being another user",
    },
    "new-key": {
      type: "string",
      file: true,
      summary: "Make a key in this file, and print what the policy must say of it",
    },
  },
  async run(front, parsed, words) {
    const [id, more] = words;
    const { key, "new-key": fresh } = parsed.flags;
    if (more !== undefined || (fresh !== undefined && (id !== undefined || key !== undefined)))
      throw new PgdbaError("usage", "approve takes one request, or --new-key alone", {
        hint: "`pgdba approve` lists the requests that wait.",
      });
    if (typeof fresh === "string") return makeKey(front, fresh);
    if (id === undefined) return waiting(front);
    return approveRequest(front, id, {
      key: typeof key === "string" ? key : undefined,
      yes: parsed.flags["yes"] === true,
      mayAsk: front.stdin.isTTY === true && parsed.flags["no-input"] !== true,
    });
  },
} satisfies Command;
