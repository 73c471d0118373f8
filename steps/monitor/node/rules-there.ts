/** The rules as they stand in files, for when Prometheus does not tell which there are. */
import { parse } from "yaml";
import { toPgdbaError } from "../../../engine/errors.ts";
import { parseYaml } from "../../../engine/shared/yaml.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Written } from "../watch/alerts.ts";
import { withNodes } from "./beside.ts";
import { OWN_RULES } from "./places.ts";
import { RULE_FILES } from "./rules.ts";
import { watchersOf } from "./watchers.ts";

const OWN = "own.rules.yml";
const ANSWER_MS = 5_000;

/** pgdba's own, and those of the user's own that stand on a node which monitors. Where it can't be asked for those, that is a warning. */
export async function rulesThere(ctx: StepContext): Promise<Written[]> {
  // Ours have aliases in them, which a text of somebody else's must not.
  const files = Object.entries(RULE_FILES).map(([file, text]) =>
    written(file, parse(text) as Partial<Written>),
  );
  try {
    const own = await ownText(ctx);
    if (own !== null)
      files.push(
        written(OWN, (await parseYaml(own, OWN, { code: "step_refused" })) as Partial<Written>),
      );
  } catch (error) {
    ctx.signal.throwIfAborted();
    ctx.warn(`Rules of your own are not among those shown: ${toPgdbaError(error).message}`);
  }
  return files;
}

const written = (file: string, { groups = [] }: Partial<Written>): Written => ({ file, groups });

/** Null where there are none, or no node of ours watches. @throws PgdbaError when it can't be asked */
async function ownText(ctx: StepContext): Promise<string | null> {
  const [watcher] = await watchersOf(ctx);
  if (watcher === undefined) return null;
  return withNodes(ctx, watcher.beside, async (nodes) => {
    const { exit_code, stdout } = await nodes.exec(watcher.node, ["cat", OWN_RULES], {
      maxBytes: 4 << 20,
      timeoutMs: ANSWER_MS,
    });
    return exit_code === 0 ? stdout : null;
  });
}
