import type { Command } from "../command.ts";

/** Commands by name: what help says of them, and how to load them. Runbooks are not here; they are found by name. */
export const COMMANDS: Record<
  string,
  { summary: string; usage: string; load: () => Promise<{ default: Command }> }
> = {
  run: {
    summary: "Run a runbook",
    usage: "<runbook> [--<param> <value> …]",
    load: () => import("./run.ts"),
  },
  list: {
    summary: "List the runbooks there are",
    usage: "[<prefix>] [--kind KIND]",
    load: () => import("./list.ts"),
  },
  show: {
    summary: "Show a runbook: parameters, steps, layer, graph",
    usage: "<runbook>",
    load: () => import("./show.ts"),
  },
  lint: {
    summary: "Check runbooks, or other files of pgdba, without running anything",
    usage: "[<runbook or file> …]",
    load: () => import("./lint.ts"),
  },
  test: {
    summary: "Run the tests of runbooks, with providers mocked",
    usage: "[<runbook> …]",
    load: () => import("./test.ts"),
  },
  schema: {
    summary: "The JSON Schema of runbooks, tests and checks, or of another file, for editors",
    usage: "[cluster|policy|config] [--out FILE]",
    load: () => import("./schema.ts"),
  },
  runs: {
    summary: "What was run, or one run whole",
    usage: "[<run id>] [--limit N] [--html FILE]",
    load: () => import("./runs.ts"),
  },
  resume: {
    summary: "Go on with a run that was cut short",
    usage: "<run id> [--assume PATH=done|not_done]",
    load: () => import("./resume.ts"),
  },
  completion: {
    summary: "Completion script for a shell",
    usage: "bash|zsh|fish",
    load: () => import("./completion.ts"),
  },
  help: {
    summary: "Help on a command, a runbook or a step type",
    usage: "[<name>]",
    load: () => import("./help.ts"),
  },
};
