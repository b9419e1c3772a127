// A provider of OpenID Connect for the tests: oidc-provider with one client. Who
// is signed in is what the last request to /become said, so that a test needs no
// person: /become?who=alice&acr=urn:example:mfa&verified=yes&deny=yes.
//
// usage: node provider.js REDIRECT_URI SECRET; prints its issuer when it serves.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [redirect, secret] = process.argv.slice(2);
let person = {};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "mailseal", client_secret: secret, redirect_uris: [redirect] }],
    acrValues: ["urn:example:mfa", "urn:example:pwd"],
    claims: { openid: ["sub", "acr"], email: ["email", "email_verified"] },
    cookies: { keys: ["of a test"] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true, methods: ["S256"] },
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: person.email ?? `${id}@example.org`, email_verified: person.verified === "yes" }),
    }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
  });
  const serve = provider.callback();
  server.on("request", async (request, response) => {
    const url = new URL(request.url, issuer);
    if (url.pathname === "/become") {
      person = Object.fromEntries(url.searchParams);
      response.end("ok");
    } else if (url.pathname.startsWith("/interaction/")) {
      const result = person.deny ? { error: "access_denied" } : { login: { accountId: person.who, acr: person.acr, remember: false } };
      await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
    } else {
      serve(request, response);
    }
  });
  console.log(issuer);
});
process.stdin.resume().on("end", () => process.exit()); // it ends with the test
