import type { JsonObject } from "../../../engine/types.ts";
import type { By, Role } from "../contract.ts";
import { ask } from "./engine.ts";
import { idOf, ownImage, ownRecipe } from "./images/build.ts";
import { assertGiven } from "./images/given.ts";
import { type Cluster, readRecords } from "./record.ts";
import { layoutOf } from "./roles.ts";

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
  options: { anew?: boolean } = {},
): Promise<string> {
  const asked = { ...by, ...options };
  const of = layoutOf(role).image ?? role;
  const own = (place["images"] as JsonObject | undefined)?.[of];
  return ask(engine, `have the image for ${role}`, async () => {
    if (typeof own !== "string") return ownImage(engine, of, version, asked);
    await assertGiven(engine.docker, own, of, asked);
    return own;
  });
}

/** The same without having it: its name, and its id where it is there. */
export async function imageNamed(
  { cluster: { engine }, place }: Pick<ImageWork, "cluster" | "place">,
  role: Role,
  version: number,
): Promise<{ name: string; id: string | null }> {
  const of = layoutOf(role).image ?? role;
  const own = (place["images"] as JsonObject | undefined)?.[of];
  return ask(engine, `look for the image for ${role}`, async () => {
    const name =
      typeof own === "string" ? own : (await ownRecipe(engine.docker, of, version)).recipe.tag;
    return { name, id: await idOf(engine.docker, name) };
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
