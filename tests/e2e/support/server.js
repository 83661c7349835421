// The binary under test, on a free port, with a data directory of its own.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const START_TIMEOUT_MS = 60_000;

export class Server {
  /** Starts a server with an empty data directory, and `settings` in TOML. */
  static async start(settings = "") {
    const server = new Server();
    server.settings = settings;
    server.dataDir = await mkdtemp(join(tmpdir(), "quizmentor-e2e-"));
    await server.launch("127.0.0.1:0");
    return server;
  }

  /** What the page is at. */
  url = "";
  /** The authors' one-time link that the first start printed. */
  link = "";

  async launch(listen) {
    const binary = process.env.QUIZMENTOR_BIN;
    const file = join(this.dataDir, "settings.toml");
    await writeFile(file, this.settings);
    const options = { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, QUIZMENTOR_CONFIG: file } };
    this.process = spawn(binary, ["serve", "--listen", listen, "--data-dir", this.dataDir], options);
    this.log = "";
    this.process.stderr.on("data", (chunk) => (this.log += chunk));
    const lines = createInterface({ input: this.process.stdout });
    lines.on("line", (line) => {
      this.log += `${line}\n`;
      this.url = line.match(/listens on (\S+)/)?.[1] ?? this.url;
      this.link = line.match(/https?:\/\/\S+#code=\S+/)?.[0] ?? this.link;
    });
    await this.ready();
  }

  async ready() {
    const end = Date.now() + START_TIMEOUT_MS;
    while (Date.now() < end && this.process.exitCode === null) {
      const answer = this.url && (await fetch(`${this.url}/v1/subjects`).catch(() => null));
      if (answer?.ok && (await answer.json()).subjects.length) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await this.close();
    throw new Error(`the server did not start:\n${this.log}`);
  }

  /** A one-time link for a new author. */
  async invite() {
    const options = ["invite", "--data-dir", this.dataDir, "--url", this.url];
    const { stdout } = await promisify(execFile)(process.env.QUIZMENTOR_BIN, options, { cwd: ROOT });
    return stdout.match(/https?:\/\/\S+#code=\S+/)[0];
  }

  async stop() {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, "exit");
    this.process.kill("SIGTERM");
    await exited;
  }

  /** Stops and starts again with the same address and data, and maybe other settings. */
  async restart(settings = this.settings) {
    await this.stop();
    this.settings = settings;
    await this.launch(new URL(this.url).host);
  }

  async close() {
    await this.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
