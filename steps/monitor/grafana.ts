import { PgdbaError } from "../../engine/errors.ts";
import { readBody } from "../../engine/shared/read-body.ts";
import type { Json, JsonObject, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { DASHBOARDS, dataSource, FOLDER } from "./include/grafana.ts";

const ANSWER_MS = 10_000;
const MAX_BYTES = 16 << 20;

export default defineStep({
  type: "monitor.grafana",
  summary: "Import the dashboards into a Grafana of the user's own, by its API",
  docs: `Makes the folder \`PostgreSQL\` and the data source where they are not there, and puts each dashboard in the place of the one with its uid. The token needs the right to write dashboards,
folders and data sources (the role Admin of a service account). Taken back, dashboards that were not there before are removed; one that was there, or that somebody has saved since, stays as it is now.`,
  example: `- monitor.grafana:
    url: http://grafana.example.com:3000
    token_env: GRAFANA_TOKEN
    prometheus: http://prometheus.example.com:9090
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["url", "token_env", "prometheus"],
    properties: {
      url: { type: "string", pattern: "^https?://[^\\s/@]+(/[^\\s@]*)?$" },
      token_env: { type: "string", minLength: 1, description: "The variable that holds its token" },
      prometheus: { type: "string", description: "The URL of Prometheus, as Grafana reaches it" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["dashboards", "data_source_made"],
    properties: {
      dashboards: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["uid", "url", "version"],
          properties: {
            uid: { type: "string" },
            url: { type: "string" },
            version: { type: ["integer", "null"] },
          },
        },
      },
      data_source_made: { type: "boolean", description: "It was not there" },
    },
  },
  async run(ctx, { url, token_env, prometheus }) {
    const ask = grafanaAt(ctx, url, token_env);
    const uids = Object.values(DASHBOARDS).map(({ uid }) => String(uid));
    const found = await Promise.all(uids.map((uid) => ask("GET", `/api/dashboards/uid/${uid}`)));
    const noted = (ctx.noted ?? {
      new: uids.filter((_, index) => found[index] === null),
      versions: {},
    }) as unknown as Noted;
    ctx.note(noted as never);
    if ((await ask("GET", `/api/folders/${FOLDER.uid}`)) === null)
      await ask("POST", "/api/folders", FOLDER);
    const source = await dataSource(prometheus);
    const isThere = await ask("GET", `/api/datasources/uid/${String(source["uid"])}`);
    // One that is there may have been pointed at another Prometheus by its owner.
    if (isThere === null) await ask("POST", "/api/datasources", withoutEditable(source));
    const dashboards = [];
    for (const dashboard of Object.values(DASHBOARDS)) {
      const told = await ask("POST", "/api/dashboards/db", {
        dashboard,
        folderUid: FOLDER.uid,
        overwrite: true,
        message: "pgdba",
      });
      const at = new URL(String(told?.["url"] ?? `/d/${String(dashboard["uid"])}`), url);
      const version = told?.["version"];
      if (typeof version === "number") {
        noted.versions[String(dashboard["uid"])] = version;
        ctx.note(noted as never);
      }
      dashboards.push({
        uid: String(dashboard["uid"]),
        url: at.href,
        version: typeof version === "number" ? version : null,
      });
    }
    return { dashboards, data_source_made: isThere === null };
  },
  async plan(_ctx, { url }): Promise<Json> {
    return { url, dashboards: Object.values(DASHBOARDS).map(({ uid }) => String(uid)) };
  },
  async undo(ctx, { url, token_env }) {
    const { new: made, versions } = (ctx.noted ?? NOTHING) as unknown as Noted;
    const ask = grafanaAt(ctx, url, token_env);
    let removed = 0;
    for (const uid of made) {
      const there = await ask("GET", `/api/dashboards/uid/${uid}`);
      if (there === null) continue;
      const { version } = there["dashboard"] as { version?: number };
      if (version !== undefined && version > (versions[uid] ?? FIRST)) {
        ctx.warn(`The dashboard ${uid} was saved by others since: it stays`);
        continue;
      }
      await ask("DELETE", `/api/dashboards/uid/${uid}`);
      removed++;
    }
    if (removed === 0) ctx.unchanged();
  },
});

interface Noted {
  /** Dashboards that were not there. */
  new: string[];
  /** As this run has left them. */
  versions: Record<string, number>;
}
const NOTHING = { new: [], versions: {} };
/** Of a dashboard that was never there: this run may have died before it knew. */
const FIRST = 1;

/** The API takes the fields of a data source, and not those of provisioning alone. */
function withoutEditable({ editable: _editable, ...source }: JsonObject): JsonObject {
  return source;
}

/** Null for what is not there. @throws PgdbaError missing_secret | http_failed | connection_failed */
function grafanaAt(ctx: StepContext, url: string, variable: string) {
  const token = ctx.env[variable] ?? "";
  if (token === "")
    throw new PgdbaError("missing_secret", `Not set: ${variable}`, {
      hint: `Put the token of a service account of Grafana into the variable ${variable}, and run it again.`,
      nothingDone: true,
    });
  ctx.secret(token);
  const base = url.replace(/\/$/, "");
  return async (method: string, path: string, body?: Json): Promise<JsonObject | null> => {
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, {
        method,
        redirect: "error",
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/json",
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([ctx.signal, AbortSignal.timeout(ANSWER_MS)]),
      });
    } catch (cause) {
      ctx.signal.throwIfAborted();
      throw new PgdbaError("connection_failed", `Grafana at ${base} can't be reached`, {
        hint: "Check the URL, and that this machine may reach it.",
        retryable: true,
        cause,
      });
    }
    const text = await readBody(`${base}${path}`, response, MAX_BYTES, "Is this Grafana?");
    if (response.status === 404 && method !== "POST") return null;
    if (response.ok) return parsed(base, text);
    throw new PgdbaError(
      "http_failed",
      `Grafana answered ${response.status} to ${method} ${path}: ${text.slice(0, 300)}`,
      {
        hint:
          response.status === 401 || response.status === 403
            ? `Give the service account whose token is in ${variable} the role Admin.`
            : `Is ${base} a Grafana of version 10 or later?`,
        data: { status: response.status },
      },
    );
  };
}

function parsed(base: string, text: string): JsonObject {
  try {
    return JSON.parse(text) as JsonObject;
  } catch (cause) {
    throw new PgdbaError("http_failed", `${base} does not answer as Grafana does`, {
      hint: "Check the URL.",
      cause,
    });
  }
}
