import type { Door } from "./call.ts";
import type { Args } from "./tools.ts";

/** A text of the command line as a caller of the tools reads it. */
export type Spoken = (text: string) => string;

/** Names flags of the runbook, of the target and of pgdba as the arguments of a call that stand for them. */
export function speakerOf(
  { runbooks, fixed, confirms }: Door,
  { runbook = "", params = {} }: Args,
): Spoken {
  const specs = runbooks.get(runbook)?.specs ?? {};
  const argumentOf = (name: string): string | undefined => {
    const param = name.replaceAll("-", "_");
    if (param in specs || name in params || param in params) return `params.${param}`;
    if (isOpen(name, fixed)) return `target.${name}`;
    if (name === "yes" || name === "confirm")
      return confirms ? `run's argument ${name}` : "a person's confirmation";
    return OF_PGDBA[name];
  };
  return (text) => {
    // A command that is left is a person's, who types flags.
    if (/pgdba [a-z]+ .*--/.test(text)) return text;
    return text.replaceAll(
      /(?<![\w-])(`?)--([a-z][a-z0-9-]*)(`?)/g,
      (flag, before: string, name: string, after: string) => {
        const said = argumentOf(name);
        if (said === undefined) return flag;
        return before === after ? said : `${before}${said}${after}`;
      },
    );
  };
}

const OF_PGDBA: Readonly<Record<string, string>> = {
  help: "The tool show",
  plan: "the tool plan",
  brief: "brief",
  select: "select",
  full: "select",
};

/** True for a part of the target that calls may name. */
function isOpen(name: string, fixed: readonly string[]): boolean {
  if (name === "database") return !fixed.some((flag) => flag.startsWith("--database="));
  return fixed.length === 0 && ["cluster", "host", "port", "user"].includes(name);
}
