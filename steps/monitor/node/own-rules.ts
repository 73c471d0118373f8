/** Alerting rules of the user's own, as Prometheus reads them. Pure. */
export interface Rule {
  expr: string;
  for?: string;
  severity: string;
  summary: string;
  description?: string | null;
}

export interface Alert {
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
export const withRule = (
  rules: OwnRules,
  cluster: string,
  name: string,
  rule: Rule | null,
): OwnRules => withAlert(rules, name, rule === null ? null : alertOf(cluster, name, rule));

/** The same with a rule as it stood there. */
export function withAlert({ groups }: OwnRules, name: string, alert: Alert | null): OwnRules {
  const [own = { name: "own", rules: [] }, ...others] = groups;
  const one = alert === null ? [] : [alert];
  const at = own.rules.findIndex((other) => other.alert === name);
  const rules = at < 0 ? [...own.rules, ...one] : own.rules.toSpliced(at, 1, ...one);
  return { groups: [{ ...own, rules }, ...others] };
}

export const alertIn = ({ groups }: OwnRules, name: string): Alert | null =>
  groups[0]?.rules.find(({ alert }) => alert === name) ?? null;

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
