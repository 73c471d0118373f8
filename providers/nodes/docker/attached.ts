import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import { ask, type Engine, statusOf } from "./engine.ts";

/** A container that is there as long as this process is: it reads its input, and the Engine closes that with our line. */
export interface Attached {
  id: string;
  /** Ends it. */
  end(): Promise<void>;
  /** Ends its input, as the end of this process does, and waits for its own end. */
  leave(): Promise<void>;
}

/** @throws PgdbaError connection_failed | command_failed, with the Engine's status as `data.status` */
export async function attach(
  engine: Engine,
  options: {
    name?: string;
    image: string;
    labels: Record<string, string>;
    host?: Docker.HostConfig;
    /** Removed by the Engine with its end. */
    passing: boolean;
    /** What it runs: it must end soon after its input has. */
    argv?: readonly string[];
    /** Whether it must be left alone when this process ends. */
    stays?: (id: string) => Promise<boolean>;
  },
): Promise<Attached> {
  const { docker } = engine;
  const container = await ask(engine, `make a helper of ${options.image}`, () =>
    docker.createContainer({
      ...(options.name === undefined ? {} : { name: options.name }),
      Image: options.image,
      Entrypoint: [...(options.argv ?? ["cat"])],
      Cmd: [],
      User: "0",
      Labels: options.labels,
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      Healthcheck: { Test: ["NONE"] },
      HostConfig: { NetworkMode: "none", ...options.host, AutoRemove: options.passing },
    }),
  );
  try {
    const line = (await ask(engine, "hold a helper", () =>
      container.attach({ stream: true, hijack: true, stdin: true }),
    )) as unknown as Duplex;
    line.on("error", () => {});
    await ask(engine, "start a helper", () => container.start());
    return {
      id: container.id,
      async end() {
        line.destroy();
        if (await options.stays?.(container.id)) return;
        // It ends by itself as well; this is only sooner.
        await container.kill().catch(() => {});
        await container.wait().catch(() => {});
      },
      async leave() {
        line.destroy();
        await container.wait().catch(() => {});
      },
    };
  } catch (error) {
    await container.remove({ force: true }).catch((other: unknown) => {
      if (statusOf(other) === undefined) throw other;
    });
    throw error;
  }
}
