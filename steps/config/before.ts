import { PgdbaError } from "../../engine/errors.ts";
import { commandLine } from "../command-line.ts";
import { defineStep } from "../define.ts";
import { changedSince, readBefore } from "./place/before.ts";
import type { Given } from "../settings-file.ts";
import { memberOf, otherAddress, otherMember } from "./place/member.ts";
import { openPlace } from "./place/open.ts";

export default defineStep({
  type: "config.before",
  summary: "Tell which settings a run found before it changed them",
  docs: `For \`config.apply\`, to go back: \`settings\` maps each name that the run changed to the value that ALTER SYSTEM or Patroni's dynamic
configuration had for it, null when it had none. It works for runs that were killed, too.

Fails when a setting has been changed since by somebody else, unless \`force\` says that this is to be lost; and always on another
server than the run's.`,
  example: `- config.before: {run: 20260102-030405-k3f9xz}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  uses: ["patroni", "member"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["run"],
    properties: {
      run: { type: "string", minLength: 1, description: "Id of the run" },
      force: {
        type: "boolean",
        default: false,
        description: "Put them back also when others have changed the settings since",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["settings", "changed_since"],
    properties: {
      settings: {
        type: "object",
        additionalProperties: { type: ["string", "number", "boolean", "null"] },
      },
      changed_since: {
        type: "array",
        items: { type: "string" },
        description: "Settings that are neither as the run found them nor as it left them",
      },
    },
  },
  async run(ctx, input) {
    const found = await readBefore(ctx.run.stateDir, input.run);
    if (found === undefined) {
      throw new PgdbaError(
        "unknown_run",
        `${input.run} has changed no settings that could be put back`,
        {
          hint: "`pgdba runs` lists the runs of this state folder.",
        },
      );
    }
    const { identity } = await ctx.target.facts();
    if (found.identity !== identity) {
      throw new PgdbaError(
        "identity_mismatch",
        `${input.run} changed ${found.target}, which is not the server at ${ctx.target.name}`,
        {
          hint: "Name the target of that run.",
        },
      );
    }
    const place = await openPlace(ctx);
    if (found.kind !== place.kind) {
      const was = found.kind === "patroni" ? "Patroni's dynamic configuration" : "ALTER SYSTEM";
      throw new PgdbaError("step_refused", `${input.run} used ${was}, which this target does not`, {
        hint: "Name the target as that run did, by its cluster or by its host.",
      });
    }
    // The first step that touched a name found the old value, the last one left the new.
    const before = Object.assign(
      {},
      ...found.steps.toReversed().map((step) => step.before),
    ) as Record<string, Given>;
    const after = Object.assign({}, ...found.steps.map((step) => step.after)) as Record<
      string,
      Given
    >;
    if (found.member !== undefined) {
      const now = await memberOf(ctx);
      const other =
        otherMember(found.member, now, Object.keys(before)) ??
        (input.force === true ? undefined : otherAddress(found.member, now));
      if (other !== undefined) {
        throw new PgdbaError(
          "identity_mismatch",
          `${input.run} changed another member of this cluster (${found.target}): ${other}`,
          { hint: `Name the server that it changed: ${found.target}.` },
        );
      }
    }
    const changed = changedSince(place, before, after);
    if (changed.length > 0 && input.force !== true) {
      throw new PgdbaError(
        "step_refused",
        `Since ${input.run} somebody else has changed ${changed.join(", ")}`,
        {
          hint: `Look at them with \`${commandLine(ctx.target, ["config", "show"])}\`; --force puts the old values back all the same.`,
          data: { changed_since: changed },
        },
      );
    }
    return { settings: before, changed_since: changed };
  },
});
