/** A cluster on Docker that is watched: its real Prometheus, and a webhook that its alerts arrive at. */
import { docker } from "../docker.ts";
import type { Live } from "../live.ts";
import type { Delivery } from "./local.ts";

export interface Arrived extends Delivery {
  /** On the clock of `performance.now()`. */
  at: number;
}

export interface Firing {
  labels: Record<string, string>;
  state: "pending" | "firing";
}

export class Watched {
  readonly live: Live;
  readonly arrived: Arrived[] = [];
  /** As the node that monitors reaches it. */
  readonly hook: string;
  readonly #server: Bun.Server<unknown>;

  private constructor(live: Live, hostname: string) {
    this.live = live;
    this.#server = Bun.serve({
      hostname,
      port: 0,
      fetch: async (request) => {
        const at = performance.now();
        this.arrived.push({ ...((await request.json()) as Delivery), at });
        return new Response();
      },
    });
    this.hook = `http://${hostname}:${this.#server.port}/hook`;
  }

  /** The webhook, at the address that this machine has in the cluster's network. */
  static async of(live: Live): Promise<Watched> {
    const filter = `label=pgdba.cluster=${live.name}`;
    const [network] = (await docker("network", "ls", "-q", "--filter", filter)).split("\n");
    const shape = "{{(index .IPAM.Config 0).Gateway}}";
    return new Watched(live, await docker("network", "inspect", network!, "-f", shape));
  }

  setup(...more: string[]): Promise<any> {
    return this.live.well("monitor", "setup", "--receiver", JSON.stringify([this.hook]), ...more);
  }

  /** What stands under `data` of Prometheus's answer. @throws Error when it does not answer */
  async ask(path: string): Promise<any> {
    const { prometheus } = this.live.entry()!.monitoring!;
    const answer = await fetch(`${prometheus}${path}`, { signal: AbortSignal.timeout(5_000) });
    return ((await answer.json()) as { data: unknown }).data;
  }

  async query(
    expr: string,
  ): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
    return (await this.ask(`/api/v1/query?query=${encodeURIComponent(expr)}`)).result;
  }

  async alerts(name: string): Promise<Firing[]> {
    const { alerts } = (await this.ask("/api/v1/alerts")) as { alerts: Firing[] };
    return alerts.filter(({ labels }) => labels["alertname"] === name);
  }

  /** What arrived that tells of an alert by this name, from a moment on. */
  told(name: string, status: "firing" | "resolved", since = 0): Arrived[] {
    return this.arrived.filter(
      (one) =>
        one.at >= since &&
        one.alerts.some((alert) => alert.status === status && alert.labels["alertname"] === name),
    );
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}
