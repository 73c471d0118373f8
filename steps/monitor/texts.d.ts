declare module "*.yml" {
  const text: string;
  export default text;
}
declare module "*/thresholds.yaml" {
  const text: string;
  export default text;
}
