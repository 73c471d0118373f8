import { realpath } from "node:fs/promises";
import { dirname, isAbsolute, join, sep } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { readText } from "../../engine/shared/read-file.ts";
import type { Json, JsonObject, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

interface Input {
  template?: string;
  file?: string;
  vars?: JsonObject;
}

const MAX_BYTES = 1024 * 1024;

export default defineStep({
  type: "template.render",
  pure: true,
  summary: "Render a Handlebars text",
  docs: `Nothing is escaped, and a variable that is missing is an error. Give the text as \`template\`, or the name of
a \`file\`: it is looked for beside the runbook, then in the folder \`templates\` beside the folder that holds the
layer's runbooks. A path that leads out of both, also through a symbolic link, is refused.

The text sees the variables of the step, with \`vars\` over them. What is rendered is data: it is not rendered again.`,
  example: `- template.render:
    template: "max_connections = {{n}}"
    vars: {n: 100}
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    properties: {
      template: { type: "string", "x-lang": "text", description: "The text itself" },
      file: {
        type: "string",
        minLength: 1,
        description: "The file that holds it, e.g. `postgresql.conf.hbs`",
      },
      vars: { type: "object", format: "variables", description: "More variables, by name" },
    },
    additionalProperties: false,
  },
  output: {
    type: "object",
    properties: { text: { type: "string" } },
    required: ["text"],
    additionalProperties: false,
  },
  lint(input: Json) {
    const { template, file } = input as Input;
    if ((template === undefined) !== (file === undefined)) return [];
    return [{ path: [], rule: "template-source", message: "give either `template` or `file`" }];
  },
  async run(ctx: StepContext, input: Input) {
    const text = input.template ?? (await readTemplate(ctx, input.file ?? ""));
    return { text: ctx.render(text, input.vars) };
  },
});

async function readTemplate(ctx: StepContext, file: string): Promise<string> {
  const folders = templateFolders(ctx);
  if (isAbsolute(file) || file.includes("\0")) throw outside(file);
  for (const folder of folders) {
    const path = await resolved(join(folder, file));
    if (path === null) continue;
    const root = await resolved(folder);
    if (root === null || !path.startsWith(root + sep)) throw outside(file);
    return readText(path, {
      maxBytes: MAX_BYTES,
      hint: "A template is a text file of at most 1 MB.",
    });
  }
  throw new PgdbaError("io_failed", `no template \`${file}\``, {
    hint: `It was looked for in ${folders.join(" and ")}.`,
  });
}

/** Beside the runbook, then `templates/` beside its layer's folder. */
function templateFolders(ctx: StepContext): string[] {
  const entry = ctx.library.find(ctx.run.runbook);
  if (!entry) return [];
  const own = dirname(entry.file);
  const layer = join(
    own,
    ...entry.name
      .split("/")
      .slice(1)
      .map(() => ".."),
  );
  return [own, join(layer, "..", "templates")];
}

async function resolved(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

function outside(file: string): PgdbaError {
  return new PgdbaError("step_refused", `template \`${file}\` is outside the runbook's folders`, {
    hint: "Name it relative to the runbook or to `templates`, without `..` and links that lead out.",
  });
}
