/** Alerting rules of the user's own, as Prometheus reads them. Pure. */
export interface Rule {
  expr: string;
  for?: string;
  severity: string;
  summary: string;
  description?: string | null;
}

interface Alert {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface OwnRules {
  groups: { name: string; interval?: string; rules: Alert[] }[];
}

/** With the rule of that name in its place, or at the end; without it where there is none. The label `cluster` is set: routes go by it. */
export function withRule(
  { groups }: OwnRules,
  cluster: string,
  name: string,
  rule: Rule | null,
): OwnRules {
  const [own = { name: "own", rules: [] }, ...others] = groups;
  const alert = rule === null ? [] : [alertOf(cluster, name, rule)];
  const at = own.rules.findIndex((one) => one.alert === name);
  const rules = at < 0 ? [...own.rules, ...alert] : own.rules.toSpliced(at, 1, ...alert);
  return { groups: [{ ...own, rules }, ...others] };
}

function alertOf(cluster: string, alert: string, rule: Rule): Alert {
  const { expr, severity, summary, description } = rule;
  const lasts = rule.for ?? "0s";
  return {
    alert,
    expr,
    ...(lasts === "0s" ? {} : { for: lasts }),
    labels: { severity, cluster },
    annotations: { summary, ...(description ? { description } : {}) },
  };
}
