import { dataSchema } from "../../check/envelope-schema.ts";
import { paramsSchema } from "../../check/params.ts";
import { PgdbaError } from "../../errors.ts";
import type { Json, Step } from "../../types.ts";
import { mermaid, runbookGraph } from "../../view/graph.ts";
import { wantedOf } from "../answer/shape.ts";
import { compileClosure } from "../closure.ts";
import { dangerOutline } from "../danger-outline.ts";
import type { Command } from "../command.ts";
import { libraryOf } from "../library.ts";
import { loadRegistry } from "../user-steps.ts";
import { helpOf } from "../help-text.ts";
import { outputPaths } from "../output-names.ts";

export default {
  name: "show",
  place: 3,
  summary:
    "Show a runbook: parameters, steps, layer, graph; with --full the whole schema of its output and a Mermaid chart, too",
  usage: "<runbook>",
  takes: "document",
  async run(front, parsed, words) {
    const name = words.join("/");
    if (name === "")
      throw new PgdbaError("usage", "Which runbook?", { hint: "`pgdba list` shows them." });
    const library = libraryOf(front, (parsed.flags["runbooks"] as string[] | undefined) ?? []);
    const entry = library.find(name);
    if (entry && entry.kind !== "runbook") {
      const doc = await library.load(name);
      return {
        exit: 0,
        data: {
          name,
          kind: doc.kind,
          layer: doc.layer,
          file: doc.file,
          overrides: entry.overrides as unknown as Json,
          document: doc.data,
        },
      };
    }
    const { runbook, runbooks } = await compileClosure(name, library, await loadRegistry(front));
    const graph = runbookGraph(runbook.steps);
    const wanted = wantedOf(parsed.flags);
    const asks = (part: string) => wanted.select.some((path) => path.split(".")[0] === part);
    const data = {
      name: runbook.name,
      summary: runbook.summary,
      description: runbook.description ?? null,
      risk: runbook.risk,
      ...dangerOutline(runbook),
      params: paramsSchema(runbook.params) as Json,
      // Most of the answer, and of use to a program alone.
      output: (wanted.full || asks("output")
        ? dataSchema(runbook.outputSchema)
        : outputPaths(runbook.outputSchema)) as Json,
      layer: runbook.doc.layer,
      file: runbook.doc.file,
      overrides: (entry?.overrides ?? []) as unknown as Json,
      calls: [...runbooks.keys()].filter((other) => other !== name),
      steps: outline(runbook.steps),
      graph,
      // The same once more, for a page: a third of the answer.
      ...(wanted.full || asks("mermaid") ? { mermaid: mermaid(runbook.steps) } : {}),
    };
    return {
      exit: 0,
      data,
      text: [
        helpOf(runbook, {}),
        [
          runbook.doc.file,
          ...(entry?.overrides ?? []).map((one) => `overrides ${one.layer} ${one.file}`),
        ].join("\n"),
        graph,
      ].join("\n\n"),
    };
  },
} satisfies Command;

function outline(steps: readonly Step[]): Json {
  return steps.map((step) => ({
    id: step.id,
    ...(step.when === undefined ? {} : { when: step.when }),
    ...(step.foreach === undefined ? {} : { foreach: step.foreach }),
    ...(step.kind === "action"
      ? { type: step.type }
      : {
          block: outline(step.block),
          ...(step.rescue ? { rescue: outline(step.rescue) } : {}),
          ...(step.always ? { always: outline(step.always) } : {}),
        }),
  }));
}
