/**
 * The rules as a Prometheus of the user's own reads them, which may watch much else: an alert is one of a cluster that the folder names, and of no other series that happen
 * to have the same names.
 */
import { parseDocument, stringify } from "yaml";

/** A series for each cluster of the folder. */
const WATCHED = "pgdba:watched";

export const watchedFile = (cluster: string): string => `rules/watched-${cluster}.rules.yml`;

/** Of one cluster, in a file of its own: those of others stay. */
export function watchedRules(cluster: string): string {
  const rules = [{ record: WATCHED, expr: "vector(1)", labels: { cluster } }];
  const groups = [{ name: `watched-${cluster}`, interval: "5s", rules }];
  return `# Without this file no alert about ${cluster} fires.\n${stringify({ groups }, { lineWidth: 0 })}`;
}

/** Comments stay. Alerts that speak of no cluster, such as Watchdog, are left as they are. */
export function onlyWatched(text: string): string {
  const doc = parseDocument(text);
  const { groups } = doc.toJS() as {
    groups: { rules: { alert?: string; expr: string; annotations?: object }[] }[];
  };
  for (const [group, { rules }] of groups.entries())
    for (const [rule, { alert, expr, annotations }] of rules.entries())
      if (alert !== undefined && JSON.stringify(annotations).includes("$labels.cluster"))
        doc.setIn(
          ["groups", group, "rules", rule, "expr"],
          `(${expr}) and on (cluster) ${WATCHED}`,
        );
  return doc.toString({ lineWidth: 0 });
}
