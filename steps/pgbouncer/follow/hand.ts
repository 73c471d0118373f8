import { PgdbaError } from "../../../engine/errors.ts";
import { Console, CONSOLE, quoted, type Row } from "../../../providers/pgbouncer/console.ts";
import type { FollowConfig } from "./config.ts";
import { type Route, writeRoute } from "./route.ts";

const RETRY = "server_login_retry";
const HASTE_SECONDS = "0.01";

/**
 * The hand at PgBouncer's console. It is used by one at a time. `unknown`: nobody of this process has said yet whether clients may go.
 * `closing`: they wait, and transactions that are open go on until they end. `closed`: none is open any more.
 */
export class Hand {
  mode: "unknown" | "open" | "closing" | "closed" = "unknown";
  readonly #config: FollowConfig;
  readonly #changed: () => void;
  #tellsState = true;
  #retry: string | undefined;
  #main: Console | undefined;
  /** PAUSE answers only when all transactions have ended; after a RESUME beside it, it never does. So it has a session of its own. */
  #pauser: Console | undefined;

  constructor(config: FollowConfig, changed: () => void) {
    this.#config = config;
    this.#changed = changed;
  }

  get connected(): boolean {
    return this.#main !== undefined && !this.#main.lost;
  }

  /** @throws PgdbaError connection_failed */
  async connect(): Promise<void> {
    if (this.connected) return;
    this.close();
    this.#tellsState = true;
    this.#main = await Console.open(this.#config.console);
    this.#main.onLost = this.#changed;
  }

  close(): void {
    this.mode = "unknown";
    this.#retry = undefined;
    this.#pauser?.close();
    this.#main?.close();
    this.#pauser = this.#main = undefined;
  }

  /** Holds clients back from now on; `mode` tells when the last transaction has ended. */
  async hold(): Promise<void> {
    if (this.mode === "closing" || this.mode === "closed") return;
    // A follower before this one may have died while they were held back.
    if (this.mode === "unknown") await this.#resume();
    const pauser = await Console.open(this.#config.console);
    this.#pauser = pauser;
    this.mode = "closing";
    const ended = (mode: Hand["mode"]) => {
      if (this.#pauser !== pauser) return;
      this.mode = mode;
      this.#changed();
    };
    pauser.ask("PAUSE", 0).then(
      () => ended("closed"),
      () => ended("unknown"),
    );
  }

  /** Lets clients go. */
  async letGo(): Promise<void> {
    if (this.mode === "open") return;
    await this.#resume();
    const paused = (await this.#databases()).filter((row) => Number(row["paused"]) !== 0);
    for (const { name } of paused) await this.#ask(`RESUME ${quoted(String(name))}`);
    this.mode = "open";
  }

  /** Sends clients there: new transactions at once, and those that are open when they have ended. */
  async point(route: Route): Promise<void> {
    await writeRoute(this.#config.route, route);
    await this.#ask("RELOAD");
    // Before 1.22 it answers well whatever is wrong with its files.
    const routed = (await this.#databases()).filter(({ name }) => this.#isRouted(String(name)));
    const taken = routed.filter(
      (row) => row["host"] === route.host && Number(row["port"]) === route.port,
    );
    if (taken.length > 0 || routed.length === 0) return this.#hasten();
    throw new PgdbaError("step_failed", `PgBouncer did not take ${this.#config.route.file}`, {
      hint: "Look at its log; its configuration must include that file.",
    });
  }

  /**
   * Cuts clients off from servers that lead nowhere: `stale` those that a new route left behind, `all` every one that is in use. Gives
   * how many. Idle clients stay where PgBouncer can cut one by one, from 1.24 on.
   */
  async cut(which: "stale" | "all"): Promise<number> {
    // None is in use while all clients wait, and PgBouncer has closed the others.
    if (this.mode === "closed") return 0;
    const hung = await this.#inUse(which);
    if (hung.length === 0) return 0;
    const links = new Set(hung.map(({ link }) => link));
    const clients = (await this.#ask("SHOW CLIENTS")).filter(({ ptr }) => links.has(ptr));
    for (const { id } of clients)
      if (id !== undefined) await this.#tell(`KILL_CLIENT ${Number(id)}`);
    // A PgBouncer that can't do that has refused it, as it refuses a client that has just gone: what is left tells.
    const isOfThem = (row: Row) =>
      hung.some(({ ptr, link }) => row["ptr"] === ptr && row["link"] === link);
    const left = (await this.#inUse(which)).filter(isOfThem);
    if (left.length === 0) return clients.length;
    // A database that is killed stays held back; and none is killed while all are.
    if (this.mode !== "open") await this.letGo();
    if (which === "all") this.mode = "unknown";
    for (const name of new Set(left.map(({ database }) => String(database)))) {
      await this.#tell(`KILL ${quoted(name)}`);
      if (which === "stale") await this.#tell(`RESUME ${quoted(name)}`);
    }
    return clients.length;
  }

  /** Servers that a client hangs on. */
  async #inUse(which: "stale" | "all"): Promise<Row[]> {
    return (await this.#ask("SHOW SERVERS")).filter(
      (row) =>
        row["database"] !== CONSOLE &&
        String(row["link"] ?? "") !== "" &&
        (which === "all" || Number(row["close_needed"]) === 1),
    );
  }

  /** Whether clients wait, as PgBouncer itself says; undefined before 1.19, where it does not. */
  async isPaused(): Promise<boolean | undefined> {
    if (!this.#tellsState) return undefined;
    try {
      const rows = await this.#ask("SHOW STATE");
      return rows.some(({ key, value }) => key === "paused" && value === "yes");
    } catch (error) {
      if (!(error instanceof PgdbaError) || error.code !== "query_failed") throw error;
      this.#tellsState = false;
      return undefined;
    }
  }

  /** Transactions that are open. */
  async open(): Promise<number> {
    const pools = await this.#ask("SHOW POOLS");
    return pools
      .filter(({ database }) => database !== CONSOLE)
      .reduce((sum, row) => sum + Number(row["sv_active"] ?? 0), 0);
  }

  /**
   * PgBouncer does not connect for a while after it could not, which it tried at the old place: `server_login_retry`, a second. So it is told
   * to wait no longer than a moment until `calm`, or RELOAD, gives it the value of its file again.
   */
  async #hasten(): Promise<void> {
    const config = await this.#ask("SHOW CONFIG");
    const value = config.find(({ key }) => key === RETRY)?.["value"];
    if (typeof value !== "string" || !/^[\d.]+$/.test(value)) return;
    await this.#tell(`SET ${RETRY} = '${HASTE_SECONDS}'`);
    this.#retry = value;
  }

  /** Whether it is told so. */
  get hastens(): boolean {
    return this.#retry !== undefined;
  }

  async calm(): Promise<void> {
    const value = this.#retry;
    this.#retry = undefined;
    if (value !== undefined) await this.#tell(`SET ${RETRY} = '${value}'`);
  }

  #isRouted(name: string): boolean {
    const { databases } = this.#config.route;
    return name !== CONSOLE && ("*" in databases || name in databases);
  }

  #databases(): Promise<Row[]> {
    return this.#ask("SHOW DATABASES");
  }

  async #resume(): Promise<void> {
    await this.#tell("RESUME");
    // Its PAUSE would wait for ever.
    const pauser = this.#pauser;
    this.#pauser = undefined;
    pauser?.close();
  }

  async #ask(command: string): Promise<Row[]> {
    if (this.#main !== undefined) return this.#main.ask(command);
    throw new PgdbaError("connection_failed", "No session with PgBouncer's console", {
      hint: "Wait until PgBouncer runs.",
      retryable: true,
    });
  }

  /** For what PgBouncer refuses when there is nothing to do: nothing was paused, the client has gone. */
  async #tell(command: string): Promise<void> {
    try {
      await this.#ask(command);
    } catch (error) {
      if (!(error instanceof PgdbaError) || error.code !== "query_failed") throw error;
    }
  }
}
