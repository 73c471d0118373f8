/** A socket in front of the Docker Engine that holds things back, cuts them off, or says nothing at all. */
import { connect, createServer, type Socket } from "node:net";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class EngineProxy {
  readonly path = join(tmpdir(), `pgdba-engine-${crypto.randomUUID().slice(0, 8)}.sock`);
  /** `down`: nobody is let in. `hangs`: all are, and nobody gets an answer. */
  mode: "up" | "down" | "hangs" = "up";
  /** What the Engine says of its events comes so much later, ms. */
  eventsLateMs = 0;
  /** What is asked of a path that ends with this is kept back. */
  keeps: string | null = null;
  /** How much was kept back. */
  kept = 0;
  readonly #open = new Set<Socket>();
  readonly #server = createServer((client) => this.#serve(client));

  async begin(): Promise<void> {
    await new Promise<void>((up) => this.#server.listen(this.path, up));
  }

  get env(): Record<string, string> {
    return { DOCKER_HOST: `unix://${this.path}` };
  }

  /** Ends all connections. */
  cut(): void {
    for (const one of this.#open) one.destroy();
    this.#open.clear();
  }

  end(): void {
    this.cut();
    this.#server.close();
    rmSync(this.path, { force: true });
  }

  #serve(client: Socket): void {
    if (this.mode === "down") return void client.destroy();
    this.#open.add(client);
    client.on("error", () => {});
    if (this.mode === "hangs") return;
    const engine = connect("/var/run/docker.sock");
    this.#open.add(engine);
    engine.on("error", () => client.destroy());
    engine.on("close", () => client.destroy());
    client.on("close", () => engine.destroy());
    let isEvents = false;
    client.on("data", (bytes: Buffer) => {
      isEvents ||= bytes.subarray(0, 200).toString("latin1").includes("/events");
      const [, path = ""] = bytes.subarray(0, 500).toString("latin1").split(" ", 2);
      if (this.keeps !== null && path.split("?")[0]!.endsWith(this.keeps)) this.kept += 1;
      else if (this.mode !== "hangs") engine.write(bytes);
    });
    engine.on("data", (bytes: Buffer) => {
      const pass = () => {
        if (this.mode === "up" && !client.destroyed) client.write(bytes);
      };
      // The head of the answer is no event.
      const isHead = bytes.subarray(0, 5).toString("latin1") === "HTTP/";
      if (isEvents && !isHead && this.eventsLateMs > 0) setTimeout(pass, this.eventsLateMs);
      else pass();
    });
  }
}
