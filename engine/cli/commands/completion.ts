import { PgdbaError } from "../../errors.ts";
import { completion, type Shell } from "../../view/completion-scripts.ts";
import type { Command } from "../command.ts";

const SHELLS: readonly Shell[] = ["bash", "zsh", "fish"];
export default {
  name: "completion",
  place: 9,
  summary: "Completion script for a shell",
  usage: "bash|zsh|fish",
  takes: SHELLS,
  async run(_front, _parsed, words) {
    const shell = SHELLS.find((one) => one === words[0]);
    if (!shell) {
      throw new PgdbaError("usage", "For which shell?", {
        hint: `pgdba completion ${SHELLS.join("|")}`,
      });
    }
    // A script to be sourced: the one output that is never an envelope, unless JSON is asked for.
    return {
      exit: 0,
      data: { script: completion(shell) },
      text: completion(shell).trimEnd(),
      raw: true,
    };
  },
} satisfies Command;
