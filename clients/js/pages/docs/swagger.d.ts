/** The part of swagger-ui-dist that the page uses; the package brings no types. */
declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  interface Ui {
    preauthorizeApiKey(scheme: string, value: string): void;
    specSelectors: { paths(): { has(path: string): boolean } };
  }
  export default function SwaggerUI(options: Record<string, unknown>): Ui;
}
