/** Our own images, built where they are not there. */
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { PgdbaError, toPgdbaError } from "../../../../engine/errors.ts";
import { Lines } from "../../../../engine/shared/lines.ts";
import type { By, Role } from "../../contract.ts";
import { archiveOf, type ContextFile } from "./context.ts";
import { architectureOf, identityOf, withExecutable } from "../../../executable.ts";
import { hasPgdba, type Recipe, recipeOf } from "./recipe.ts";

/** Lines of the output that an error tells. */
const LAST_LINES = 20;
/** No event of a build is so long. */
const MAX_EVENT = 4 * 1024 * 1024;

export interface Builder {
  docker: Docker;
  /** Of this process, for the compiler. */
  env: Readonly<Record<string, string | undefined>>;
}

type Asked = Pick<By, "signal" | "progress" | "log"> & {
  /** Also what is there, with the newest packages. */
  anew?: boolean;
};

/** Builds that are under way in this process. */
const building = new Map<string, Promise<void>>();

/**
 * The image of a role, by its tag.
 * @throws PgdbaError unsupported | command_failed (`data.output`: the last lines); the signal's reason when aborted; the Engine's own errors
 */
export async function ownImage(
  at: Builder,
  role: Role,
  version: number,
  by: Asked,
): Promise<string> {
  const { recipe, arch } = await ownRecipe(at.docker, role, version);
  return imageOf(at, recipe, arch, by);
}

/** @throws PgdbaError unsupported */
export async function ownRecipe(
  docker: Docker,
  role: Role,
  version: number,
): Promise<{ recipe: Recipe; arch: string | null }> {
  const arch = hasPgdba(role) ? architectureOf((await docker.version()).Arch) : null;
  return { recipe: recipeOf(role, version, arch === null ? "" : await identityOf(arch)), arch };
}

/** Two that build the same one at once, here or elsewhere, do not harm each other: the first that is done gives the tag. */
export async function imageOf(
  at: Builder,
  recipe: Recipe,
  arch: string | null,
  by: Asked,
): Promise<string> {
  const { tag } = recipe;
  if (by.anew !== true && (await idOf(at.docker, tag)) !== null) return tag;
  const other = building.get(tag);
  if (other !== undefined) {
    // Whoever began it may fail, or give it up: that is no reason for us to.
    await unlessAborted(
      other.catch(() => {}),
      by.signal,
    );
    return imageOf(at, recipe, arch, by);
  }
  const work = make(at, recipe, arch, by).finally(() => building.delete(tag));
  building.set(tag, work);
  await work;
  return tag;
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const gone = Promise.withResolvers<never>();
  const leave = () => gone.reject(toPgdbaError(signal.reason));
  signal.addEventListener("abort", leave, { once: true });
  try {
    signal.throwIfAborted();
    await Promise.race([work, gone.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** The id of an image; null when it is not there. */
export async function idOf(docker: Docker, name: string): Promise<string | null> {
  try {
    return (await docker.getImage(name).inspect()).Id;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return null;
    throw error;
  }
}

async function make(at: Builder, recipe: Recipe, arch: string | null, by: Asked): Promise<void> {
  if (by.anew === true) await renewed(at.docker, recipe.base, by);
  await haveBase(at.docker, recipe.base, by);
  const files = Object.entries(recipe.files).map(([name, content]): ContextFile => ({
    name,
    mode: 0o644,
    content,
  }));
  if (arch === null) return build(at.docker, recipe, files, by);
  await withExecutable(arch, { env: at.env, by }, (file) =>
    build(
      at.docker,
      recipe,
      [...files, { name: "pgdba", mode: 0o755, content: Bun.file(file) }],
      by,
    ),
  );
}

/** An event of the Engine's progress streams. */
interface Told {
  stream?: string;
  status?: string;
  error?: string;
  aux?: { ID?: string };
}

async function haveBase(docker: Docker, base: string, by: Asked): Promise<void> {
  if ((await idOf(docker, base)) !== null) return;
  const { failed, cause } = await pull(docker, base, by);
  if (failed === undefined) return;
  throw new PgdbaError(
    "command_failed",
    `The base image ${base} is not there, and can't be pulled: ${failed}`,
    {
      hint: `See that the Docker Engine reaches its registry, or bring the image to it: \`docker save ${base}\` where it is, \`docker load\` here.`,
      cause,
      nothingDone: true,
      retryable: true,
    },
  );
}

/** Fetches an image again; one that can't be fetched stays as it is, for it may be of this machine alone. */
export async function renewed(docker: Docker, image: string, by: Asked): Promise<void> {
  const { failed } = await pull(docker, image, by);
  if (failed !== undefined) by.log?.(`${image} was not fetched anew: ${failed}`);
}

/** Fetches an image from its registry; tells why that failed. @throws the signal's reason when aborted; the Engine's absence */
export async function pull(
  docker: Docker,
  image: string,
  by: Asked,
): Promise<{ failed?: string; cause?: unknown }> {
  by.progress?.({ text: `pulling ${image}` });
  try {
    const stream = await docker.pull(image, { abortSignal: by.signal });
    for await (const { error } of eventsOf(stream, by.signal))
      if (error !== undefined) return { failed: error };
    return {};
  } catch (cause) {
    by.signal.throwIfAborted();
    const { statusCode, json, message } = cause as {
      statusCode?: number;
      json?: { message?: string };
      message: string;
    };
    if (statusCode === undefined) throw cause;
    return { failed: (json?.message ?? message).trim(), cause };
  }
}

async function build(
  docker: Docker,
  recipe: Recipe,
  files: ContextFile[],
  by: Asked,
): Promise<void> {
  const { tag } = recipe;
  const lines: string[] = [];
  let failed: string | undefined;
  let id: string | undefined;
  const tell = (text: string) => {
    lines.push(text);
    if (lines.length > LAST_LINES) lines.shift();
    by.progress?.({ text: `${tag}: ${text}` });
  };
  tell("building");
  try {
    const stream = await docker.buildImage(archiveOf(files), {
      ...(by.anew === true ? { nocache: true } : {}),
      buildargs: recipe.arguments as never,
      labels: { "pgdba.recipe": tag } as never,
      forcerm: true,
      abortSignal: by.signal,
    });
    for await (const { stream: text, error, aux } of eventsOf(stream, by.signal)) {
      failed ??= error;
      id = aux?.ID ?? id;
      for (const line of Bun.stripANSI(text ?? "").split(/[\r\n]+/))
        if (line.trim() !== "") tell(line.trimEnd());
    }
  } catch (error) {
    if (by.signal.aborted) throw toPgdbaError(by.signal.reason);
    throw error;
  }
  if (failed === undefined && id !== undefined) return name(docker, id, tag, by.anew === true);
  throw new PgdbaError(
    "command_failed",
    `The image ${tag} could not be built: ${failed ?? "the Engine named none"}`,
    {
      hint: `The last lines of its output:\n${lines.join("\n")}`,
      data: { output: [...lines] },
      nothingDone: true,
      retryable: true,
    },
  );
}

/** An image that another builder was quicker with is left alone, and ours removed; one that was built anew takes its place. */
async function name(docker: Docker, id: string, tag: string, anew: boolean): Promise<void> {
  const there = await idOf(docker, tag);
  if (there === null || (anew && there !== id)) {
    const colon = tag.lastIndexOf(":");
    await docker.getImage(id).tag({ repo: tag.slice(0, colon), tag: tag.slice(colon + 1) });
  } else if (there !== id) {
    // Somebody may use it already, by its id: then it stays.
    await docker
      .getImage(id)
      .remove()
      .catch(() => {});
  }
}

/** One JSON object to a line. An Engine whose reader goes away ends the work. @throws the signal's reason when aborted */
async function* eventsOf(stream: NodeJS.ReadableStream, signal: AbortSignal): AsyncGenerator<Told> {
  const leave = () => (stream as Readable).destroy();
  signal.addEventListener("abort", leave, { once: true });
  const told = new Lines(MAX_EVENT);
  try {
    for await (const chunk of stream) {
      signal.throwIfAborted();
      for (const line of told.take(chunk as Buffer))
        if (line.trim() !== "") yield JSON.parse(line) as Told;
    }
  } finally {
    signal.removeEventListener("abort", leave);
    signal.throwIfAborted();
  }
  if (told.rest.trim() !== "") yield JSON.parse(told.rest) as Told;
}
