import type { JsonObject } from "../../../engine/types.ts";
import type { By, Role } from "../contract.ts";
import { ask } from "./engine.ts";
import { ownImage } from "./images/build.ts";
import { assertGiven } from "./images/given.ts";
import { type Cluster, readRecords } from "./record.ts";

/** Where, and for whom. */
export interface ImageWork {
  cluster: Cluster;
  by: By;
  place: JsonObject;
}

/** What our own images say of themselves. */
const OURS = "pgdba.image";
/** The smallest of ours, by the usual version. */
const SMALLEST = ["etcd", 17] as const;

/**
 * The image of a role: the user's own, once it is seen to have what is needed, or ours, which is built where it is not there.
 * @throws PgdbaError step_refused | unsupported | command_failed | connection_failed
 */
export async function imageFor(
  { cluster: { engine }, by, place }: ImageWork,
  role: Role,
  version: number,
): Promise<string> {
  const own = (place["images"] as JsonObject | undefined)?.[role];
  return ask(engine, `have the image for ${role}`, async () => {
    if (typeof own !== "string") return ownImage(engine, role, version, by);
    await assertGiven(engine.docker, own, role, by);
    return own;
  });
}

/** The image of healers and helpers: that of a server of this cluster has all that they need. */
export async function helperImage(work: ImageWork): Promise<string> {
  const records = await readRecords(work.cluster);
  const server = records.find(({ role }) => role === "postgres");
  return server?.image ?? smallImage(work);
}

/** For what only has to be there: any of ours, and the smallest is built when there is none. */
async function smallImage(work: ImageWork): Promise<string> {
  const { engine } = work.cluster;
  const there = await ask(engine, "list images", () =>
    engine.docker.listImages({ filters: JSON.stringify({ label: [OURS] }) }),
  );
  const known = there
    .flatMap(({ RepoTags }) => RepoTags ?? [])
    .find((tag) => !tag.includes("<none>"));
  if (known !== undefined) return known;
  const own = work.place["images"] as JsonObject | undefined;
  const given = own?.["etcd"] ?? own?.["postgres"];
  return typeof given === "string" ? given : imageFor({ ...work, place: {} }, ...SMALLEST);
}
