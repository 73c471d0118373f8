import { defineStep } from "../define.ts";
import { again } from "../sql/again.ts";
import { milliseconds, session } from "../sql/session.ts";
import { assemble } from "./collect/assemble.ts";
import { readAnswers } from "./collect/read.ts";
import { SNAPSHOT } from "./collect/shape.ts";

export default defineStep({
  type: "report.snapshot",
  summary: "Read what a report says of a server, in two round trips",
  docs: `Configuration that differs from what the server ships with, statements by time, sizes, connections, replication, WAL and what the
server knows of its backups, read in one read-only transaction. What can't be read is in \`missing\`, with the GRANT that shows it;
it keeps nothing else from being read. Passwords in settings and in texts of statements are masked.

\`counters\` is what \`report.compare\` keeps.`,
  example: `- report.snapshot: {top: 10}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      top: {
        type: "integer",
        minimum: 1,
        maximum: 200,
        default: 20,
        description: "Statements listed",
      },
      statement_timeout: {
        type: "string",
        format: "duration",
        default: "5s",
        description: "For each section",
      },
      lock_timeout: {
        type: "string",
        format: "duration",
        default: "1s",
        description: "For each section",
      },
    },
  },
  output: SNAPSHOT,
  async run(ctx, input) {
    const limits = {
      timeoutMs: milliseconds(input.statement_timeout ?? "5s") ?? 0,
      lockTimeoutMs: milliseconds(input.lock_timeout ?? "1s") ?? 0,
      signal: ctx.signal,
    };
    const open = () => again(() => session(ctx));
    const [, { identity }] = await Promise.all([open(), again(() => ctx.target.facts())]);
    const answers = await readAnswers(open, limits);
    return assemble(answers, { identity, top: input.top ?? 20 });
  },
});
