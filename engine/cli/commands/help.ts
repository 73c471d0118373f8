import { offMessage } from "../../check/messages.ts";
import { PgdbaError } from "../../errors.ts";
import { suggest } from "../../shared/suggest.ts";
import type { Json, JsonObject, StepType } from "../../types.ts";
import { AUTHORING, authoringHelp } from "../../view/authoring-help.ts";
import { columns, commandHelp, mainHelp, paragraphs, runbookHelp } from "../../view/help.ts";
import { stepFacts, stepFactsInWords } from "../../view/step-facts.ts";
import { wrap } from "../../view/text.ts";
import { GLOBAL_FLAGS } from "../args.ts";
import type { Command, Result } from "../command.ts";
import type { Front } from "../front.ts";
import { libraryOf } from "../library.ts";
import { loadRegistry } from "../user-steps.ts";
import { outlineOf } from "../outline.ts";
import { roomOf, textResult } from "../help-text.ts";
import { stepList, stepWords } from "../step-list.ts";

export default {
  name: "help",
  place: 10,
  summary: "Help on a command, a runbook or a step type, or on writing runbooks",
  usage: "[<name> | steps [<group> | WORD…]]",
  takes: "topic",
  async run(front, parsed, words, known) {
    const [first, second] = words;
    if (first === undefined)
      return textResult(
        "help",
        mainHelp(
          Object.entries(known).map(([name, one]) => ({ ...one, name })),
          resources(front),
          GLOBAL_FLAGS,
          roomOf(front),
        ),
      );
    const command = Object.hasOwn(known, first) ? known[first] : undefined;
    if (command !== undefined && second === undefined) {
      const { default: described } = await command.load();
      return textResult("help", commandHelp(described, GLOBAL_FLAGS, roomOf(front)));
    }
    const registry = await loadRegistry(front);
    const asked = stepWords(words);
    if (asked !== undefined) return stepList(registry, asked, parsed.flags["full"] === true);
    if (registry.has(first)) return stepHelp(front, await registry.get(first));
    const file = registry.off?.().files.get(first);
    if (file !== undefined)
      throw new PgdbaError("unknown_command", offMessage(first, file), {
        hint: registry.off?.().hint,
      });
    const library = libraryOf(front, (parsed.flags["runbooks"] as string[] | undefined) ?? []);
    const name = words.join("/");
    const entries = library.entries("runbook");
    const entry = entries.find((one) => one.name === name);
    if (entry) {
      const { specs, output, ...about } = await outlineOf(front, library, entry);
      return textResult(
        "help",
        runbookHelp(
          { ...about, name, params: specs, output, layer: entry.layer },
          GLOBAL_FLAGS,
          roomOf(front),
        ),
      );
    }
    const below = entries.filter((one) => one.name.startsWith(`${name}/`));
    if (below.length === 0 && words.every((word) => AUTHORING.includes(word)))
      return textResult("help", authoringHelp(roomOf(front)));
    if (below.length === 0)
      throw unknown(words, [
        ...Object.keys(known),
        ...entries.map((one) => one.name),
        ...registry.names(),
        ...AUTHORING,
      ]);
    const commands = await Promise.all(
      below.map(async (one) => ({
        name: one.name.replaceAll("/", " "),
        usage: "",
        summary: (await outlineOf(front, library, one)).summary,
      })),
    );
    return textResult(
      "help",
      columns(
        commands.map((one) => [`pgdba ${one.name}`, one.summary] as const),
        roomOf(front).columns,
      ).join("\n"),
    );
  },
} satisfies Command;

/** The resources that runbooks work on, and their actions; no runbook is loaded. */
function resources(front: Front): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { name } of libraryOf(front, []).entries("runbook")) {
    const [resource = name, ...action] = name.split("/");
    found.set(resource, [...(found.get(resource) ?? []), action.join("/")]);
  }
  return found;
}

function stepHelp(front: Front, type: StepType): Result {
  const data: JsonObject = {
    type: type.type,
    summary: type.summary,
    declares: stepFacts(type),
    docs: type.docs ?? null,
    example: type.example ?? null,
    input: type.input as Json,
    output: type.output as Json,
  };
  return {
    exit: 0,
    data,
    // An example is copied: its lines stay as they are.
    text: [
      ...[
        `${type.type}: ${type.summary}`,
        stepFactsInWords(type).join(" · "),
        paragraphs(type.docs ?? ""),
      ].map((prose) => wrap(prose, Math.min(roomOf(front).columns ?? 100, 100)).join("\n")),
      type.example ?? "",
    ]
      .filter((part) => part !== "")
      .join("\n\n"),
    help: true,
  };
}

function unknown(words: readonly string[], candidates: string[]): PgdbaError {
  const word = words.join(" ");
  const close = suggest(word, candidates);
  // Whoever asks about a subject, and not by a name, finds by a search what speaks of it.
  const said = words.filter((one) => /^[\w./-]{1,50}$/.test(one)).join(" ");
  const elsewhere =
    said === ""
      ? "`pgdba help` shows what there is."
      : `\`pgdba list ${said}\` finds runbooks that speak of it, \`pgdba help steps ${said}\` step types; \`pgdba help\` shows what there is.`;
  return new PgdbaError(
    "unknown_command",
    `There is no help on ${JSON.stringify(word.slice(0, 200))}`,
    {
      hint: close ? `Did you mean \`pgdba help ${close}\`?` : elsewhere,
    },
  );
}
