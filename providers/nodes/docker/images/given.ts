/** An image of the user's own, in the place of ours: taken as it is, once it is seen to have what a node needs. */
import type Docker from "dockerode";
import { PgdbaError } from "../../../../engine/errors.ts";
import type { By, Role } from "../../contract.ts";
import { idOf, pull, renewed } from "./build.ts";

/** pgdba's own programs on nodes need Python; the rest is what starts the service by our configuration and secrets. */
const NEEDED: Partial<Record<Role, readonly string[]>> = {
  postgres: ["/usr/bin/python3", "/usr/local/lib/pgdba/start_postgres.py", "/usr/bin/patroni"],
  etcd: ["/usr/bin/python3", "/usr/local/lib/pgdba/start_etcd.py", "/usr/bin/etcd"],
  pgbouncer: [
    "/usr/bin/python3",
    "/usr/local/lib/pgdba/start_pgbouncer.py",
    "/usr/sbin/pgbouncer",
    "/usr/local/bin/pgdba",
  ],
  monitoring: [
    "/usr/bin/python3",
    "/usr/local/lib/pgdba/start_monitoring.py",
    "/usr/bin/prometheus",
    "/usr/bin/prometheus-alertmanager",
    "/usr/bin/prometheus-postgres-exporter",
    "/usr/bin/prometheus-pgbouncer-exporter",
  ],
};

/** @throws PgdbaError step_refused: it can't be had, is for another processor, or lacks something; the Engine's own errors */
export async function assertGiven(
  docker: Docker,
  image: string,
  role: Role,
  by: Pick<By, "signal" | "progress" | "log"> & { anew?: boolean },
): Promise<void> {
  if (by.anew === true) await renewed(docker, image, by);
  const { Config } = await haveImage(docker, image, {
    ...by,
    hint: "Build it or load it (`docker load`), or let pgdba build its own.",
  });
  const entry = Config.Entrypoint ?? [];
  const missing = await lacking(docker, image, NEEDED[role] ?? []);
  if (entry.length === 0) missing.push("an ENTRYPOINT");
  if (missing.length === 0) return;
  throw refused(
    `The image ${image} can't be a node for ${role}: it lacks ${missing.join(", ")}`,
    `Build it FROM pgdba's own, or after its Dockerfile.${role} in deployments/docker.`,
  );
}

/**
 * An image that the Engine has, or can pull. `hint` says what serves where it can't.
 * @throws PgdbaError step_refused: it can't be had, or is for another processor; the Engine's own errors
 */
export async function haveImage(
  docker: Docker,
  image: string,
  by: Pick<By, "signal" | "progress"> & { hint: string },
): Promise<Docker.ImageInspectInfo> {
  if ((await idOf(docker, image)) === null) {
    const { failed, cause } = await pull(docker, image, by);
    if (failed !== undefined)
      throw refused(
        `The Docker Engine has no image ${image}, and can't pull it: ${failed}`,
        by.hint,
        cause,
      );
  }
  const [found, { Arch }] = await Promise.all([docker.getImage(image).inspect(), docker.version()]);
  if (found.Architecture === Arch) return found;
  throw refused(
    `The image ${image} is for ${found.Architecture}, the Docker Engine's machine is ${Arch}`,
    `Pull or build it for ${Arch}.`,
  );
}

/** The paths that are not there. Nothing of the image is run for it. */
async function lacking(docker: Docker, image: string, paths: readonly string[]): Promise<string[]> {
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: ["/bin/false"],
    Labels: { "pgdba.kind": "look" },
    NetworkDisabled: true,
  });
  try {
    const there = await Promise.all(
      paths.map(async (path) => {
        try {
          await container.infoArchive({ path });
          return true;
        } catch (error) {
          if ((error as { statusCode?: number }).statusCode === 404) return false;
          throw error;
        }
      }),
    );
    return paths.filter((_, at) => !there[at]);
  } finally {
    await container.remove({ force: true, v: true });
  }
}

function refused(message: string, hint: string, cause?: unknown): PgdbaError {
  return new PgdbaError("step_refused", message, { hint, cause, nothingDone: true });
}
