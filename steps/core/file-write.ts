import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { Json, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { lineDiff } from "./files/line-diff.ts";
import {
  exists,
  fileState,
  previousContent,
  removeMarks,
  replaceFile,
  restoreFile,
  type FileState,
  type Marks,
} from "./files/replace-file.ts";

interface Input {
  path: string;
  content: string;
  mode?: string;
  create_dirs?: boolean;
}

const NEW_FILE_MODE = 0o644;

export default defineStep({
  type: "file.write",
  summary: "Write a local file, all of it or nothing",
  docs: `The new content takes the file's place in one step and is on disk when the step ends. A file that already has
this content and mode is left alone, and the step counts as unchanged. The owner stays as it was; so does the mode
when none is given (a new file gets \`0644\`). A file that holds a secret, or what a sensitive step gave, gets \`0600\` unless a
\`mode\` is given or the file was closed to other users before.

- A path that is a symbolic link is refused: give the file it points to.
- Until the run ends the file as it was stays beside it as \`<path>.pgdba-<run>…\`, and undo puts it back, also after a
  crash. A file that somebody else has changed since is left as it is, and the undo fails. When pgdba itself is killed and the run is not undone, that copy is left for a person to judge.
- Undo does not remove folders that \`create_dirs\` made.
- A plan shows the lines that would change, except for a file that not everyone may read.`,
  example: `- file.write:
    path: /etc/pgdba/notes.txt
    content: |
      maintained by pgdba
    mode: "0640"
`,
  // The file takes its content in one rename; what goes wrong before has changed nothing.
  oneAct: true,
  effect: "change",
  // It writes here, and not on the target.
  locks: "none",
  idempotent: true,
  input: {
    type: "object",
    properties: {
      path: {
        type: "string",
        minLength: 1,
        description: "Absolute, or relative to the working directory",
      },
      content: { type: "string", description: "The whole content" },
      mode: {
        type: "string",
        pattern: "^0?[0-7]{3}$",
        description: "Octal permissions in quotes, e.g. `'0600'`",
      },
      create_dirs: {
        type: "boolean",
        default: false,
        description: "Make missing folders of the path",
      },
    },
    required: ["path", "content"],
    additionalProperties: false,
  },
  output: {
    type: "object",
    properties: {
      path: { type: "string", description: "Absolute" },
      bytes: { type: "integer" },
      changed: { type: "boolean" },
      previous_digest: {
        type: ["string", "null"],
        description: "Hex SHA-256 of the content before; null when there was no file",
      },
    },
    required: ["path", "bytes", "changed", "previous_digest"],
    additionalProperties: false,
  },
  async run(ctx: StepContext, input: Input) {
    const path = resolve(ctx.cwd, input.path);
    const before = await fileState(path);
    const mode = modeOf(ctx, input, before);
    if (before !== null && same(before, input, mode)) {
      ctx.unchanged();
      return report(path, input, false, before.content);
    }
    if (input.mode !== undefined && (mode & 0o007) !== 0 && ctx.holdsSecret(input.content))
      ctx.warn(
        `${path} holds a secret, and its mode ${octal(mode)} lets every user of the machine read it`,
      );
    const marks = marksOf(ctx, path);
    await kept(ctx, marks);
    const next = { content: input.content, mode, createDirs: input.create_dirs === true };
    await replaceFile(path, next, before, marks);
    return report(path, input, true, before?.content ?? null);
  },
  async plan(ctx: StepContext, input: Input): Promise<Json> {
    const path = resolve(ctx.cwd, input.path);
    const before = await fileState(path);
    const mode = modeOf(ctx, input, before);
    const action = before === null ? "create" : same(before, input, mode) ? "none" : "replace";
    // A file that not everyone may read may hold a password that nobody has registered.
    const open = (mode & 0o004) !== 0 && (before === null || (before.mode & 0o004) !== 0);
    return {
      path,
      action,
      mode: octal(mode),
      previous_mode: before ? octal(before.mode) : null,
      digest: digest(input.content),
      previous_digest: before ? digest(before.content) : null,
      diff:
        open && action !== "none"
          ? lineDiff(before?.content.toString("utf8") ?? "", input.content)
          : null,
    };
  },
  async probe(ctx: StepContext, input: Input) {
    const path = resolve(ctx.cwd, input.path);
    const marks = marksOf(ctx, path);
    const now = await fileState(path);
    if (now === null || !same(now, input, modeOf(ctx, input, now))) return { state: "not_done" };
    const previous = await previousContent(marks);
    const changed = previous !== null || (await exists(marks.absent));
    return {
      state: "done",
      output: report(path, input, changed, changed ? previous : now.content),
    };
  },
  async undo(ctx: StepContext, input: Input) {
    const path = resolve(ctx.cwd, input.path);
    const marks = marksOf(ctx, path);
    const hold = await kept(ctx, marks);
    // Until the file is back, the end of the run must not remove the only copy.
    hold.keep = true;
    if (!(await restoreFile(path, input.content, marks))) ctx.unchanged();
    hold.keep = false;
  },
  async forget(ctx: StepContext, input: Input) {
    await removeMarks(marksOf(ctx, resolve(ctx.cwd, input.path)));
  },
});

/** Removes the marks at the end of the run, unless someone asked to keep them. Those of an earlier process are left to `forget`. */
async function kept(ctx: StepContext, marks: Marks): Promise<{ keep: boolean }> {
  return ctx.resource(`file.write:${marks.previous}`, async () => {
    const value = { keep: false };
    return {
      value,
      close: async () => {
        if (!value.keep) await removeMarks(marks);
      },
    };
  });
}

/** Each step of each run has its own, so that two steps that write one file undo each its own write. */
function marksOf(ctx: StepContext, path: string): Marks {
  const base = `${path}.pgdba-${ctx.run.id}-${digest(ctx.step.path).slice(0, 8)}`;
  return { temporary: `${base}.new`, previous: base, absent: `${base}.absent` };
}

/**
 * Without one that was asked for: as it was, or that of a new file; with a secret in it for the owner alone, unless other users had no
 * way in before.
 */
function modeOf(ctx: StepContext, input: Input, before: FileState | null): number {
  if (input.mode !== undefined) return Number.parseInt(input.mode, 8);
  const mode = before?.mode ?? NEW_FILE_MODE;
  return (mode & 0o007) !== 0 && ctx.holdsSecret(input.content) ? mode & 0o700 : mode;
}

function same(state: FileState, input: Input, mode: number): boolean {
  return state.mode === mode && state.content.equals(Buffer.from(input.content));
}

function report(path: string, input: Input, changed: boolean, previous: Buffer | null) {
  return {
    path,
    bytes: Buffer.byteLength(input.content),
    changed,
    previous_digest: previous === null ? null : digest(previous),
  };
}

function digest(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
