/** The hub's own description, to read and to try. In development whoever opens it is signed in already. */

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "./style.css";

interface Demo {
  apiKey: string;
  tenants: { users: { token: string }[] }[];
}

const ui = SwaggerUI({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete: () => void signIn(),
});

/** As the first person of the demo, and as a backend; in production the path is not there. */
async function signIn(): Promise<void> {
  const paths = ui.specSelectors.paths();
  if (!paths.has("/dev/demo")) return;
  const answer = await fetch("/dev/demo");
  if (!answer.ok) return;
  const { apiKey, tenants } = (await answer.json()) as Demo;
  ui.preauthorizeApiKey("keyHeader", apiKey);
  const token = tenants[0]?.users[0]?.token;
  if (token) ui.preauthorizeApiKey("user", token);
}
