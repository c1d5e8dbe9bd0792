// The TypeScript SDKs of MCP call Ringback; driven line by line by test_typescript_agents.py.
//
// The first line of standard input says how to connect: {"client": one of CLIENTS, "url" and "key",
// or "command", "env" and "folder" for stdio}. Each line after it is a call, [name of CALLS, …], and
// is answered by one line: {"result"} or {"error"}.

const lines = require("node:readline")
  .createInterface({ input: process.stdin, crlfDelay: Infinity })[Symbol.asyncIterator]();
const read = async () => (({ done, value }) => (done ? null : JSON.parse(value)))(await lines.next());
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");

const INFO = { name: "ringback-test", version: "1" };
const PATIENCE = { timeout: 60_000, maxTotalTimeout: 90_000 };

function first() {
  const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
  const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
  return { client: new Client(INFO), StdioClientTransport, StreamableHTTPClientTransport };
}

function second(mode) {
  const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
  const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");
  const client = new Client(INFO, { versionNegotiation: { mode } });
  return { client, StdioClientTransport, StreamableHTTPClientTransport };
}

const CLIENTS = {
  sdk: first,
  handshake: () => second("legacy"),
  auto: () => second("auto"),
  stateless: () => second({ pin: "2026-07-28" }),
};

const updated = []; // URIs of resources that the server said were updated
let listening; // to updates

const CALLS = {
  version: (client) => client.getNegotiatedProtocolVersion?.() ?? client.transport.protocolVersion,
  tools: async (client) => (await client.listTools()).tools.map((tool) => tool.name),
  resources: async (client) => (await client.listResources()).resources.map((found) => found.uri),
  templates: async (client) =>
    (await client.listResourceTemplates()).resourceTemplates.map((found) => found.uriTemplate),
  read: async (client, uri) => JSON.parse((await client.readResource({ uri })).contents[0].text),
  updated: () => updated,
  async listen(client, uri) {
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
      updated.push(params.uri);
    });
    listening = await client.listen({ resourceSubscriptions: [uri] });
  },
  async call(client, name, args) {
    const progress = [];
    const onprogress = ({ message }) => progress.push(message);
    const how = { ...PATIENCE, onprogress, resetTimeoutOnProgress: true };
    const old = client.getNegotiatedProtocolVersion === undefined;
    const found = await client.callTool({ name, arguments: args }, ...(old ? [undefined, how] : [how]));
    return { failed: found.isError ?? false, structured: found.structuredContent, progress };
  },
};

async function main() {
  const how = await read();
  const { client, StdioClientTransport, StreamableHTTPClientTransport } = CLIENTS[how.client]();
  const headers = { authorization: `Bearer ${how.key}` };
  const transport = how.command
    ? new StdioClientTransport({
        command: how.command[0], args: how.command.slice(1), env: how.env, cwd: how.folder,
      })
    : new StreamableHTTPClientTransport(new URL(how.url), { requestInit: { headers } });
  await client.connect(transport);
  say({ result: "connected" });
  for (let call = await read(); call; call = await read()) {
    const [name, ...args] = call;
    try {
      say({ result: (await CALLS[name](client, ...args)) ?? null });
    } catch (error) {
      say({ error: String(error) });
    }
  }
  await listening?.close();
  await client.close();
}

main();
