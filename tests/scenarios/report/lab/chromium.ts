import { decodeBase64 } from "@std/encoding/base64";
import { delay, systemClock, withDeadline } from "../../../../src/io/mod.ts";

/** How long the browser may take to start, and to answer, ms. */
const START_MS = 60_000;
const ANSWER_MS = 90_000;
const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
  ...["--remote-debugging-port=0", "--window-size=1200,1600", "about:blank"],
];

type Message = Record<string, unknown>;

/** A headless Chromium with one page, driven by its DevTools protocol. */
export class Chromium implements AsyncDisposable {
  /** What the page asked the network for, URLs. */
  readonly requests: string[] = [];
  /** What the page's scripts and its policy complained about. */
  readonly complaints: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #socket: WebSocket;
  readonly #profile: string;
  readonly #answers = new Map<number, PromiseWithResolvers<Message>>();
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();
  #last = 0;

  /** Starts it, with no network but for loopback. */
  static async start(): Promise<Chromium> {
    const profile = await Deno.makeTempDir({ prefix: "chromium-" });
    const child = new Deno.Command("chromium", {
      args: [`--user-data-dir=${profile}`, ...FLAGS],
      ...{ stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
    try {
      const port = await portIn(`${profile}/DevToolsActivePort`);
      const pages = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
      const url = pages.find(({ type }: Message) => type === "page").webSocketDebuggerUrl;
      const socket = new WebSocket(url);
      await withDeadline(
        systemClock,
        START_MS,
        "the browser's DevTools",
        new Promise((resolve) => socket.onopen = resolve),
      );
      const chromium = new Chromium(child, socket, profile);
      for (const domain of ["Page", "Runtime", "Network", "Log"]) {
        await chromium.send(`${domain}.enable`);
      }
      return chromium;
    } catch (error) {
      child.kill("SIGKILL");
      await child.status;
      throw error;
    }
  }

  private constructor(child: Deno.ChildProcess, socket: WebSocket, profile: string) {
    this.#child = child;
    this.#socket = socket;
    this.#profile = profile;
    socket.onmessage = ({ data }) => this.#onMessage(JSON.parse(data));
  }

  /** Makes one call. */
  async send(method: string, params: Message = {}): Promise<Message> {
    const id = ++this.#last;
    const answer = Promise.withResolvers<Message>();
    this.#answers.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return await withDeadline(systemClock, ANSWER_MS, `${method} of the browser`, answer.promise);
  }

  /** Loads a page and waits until it is there. */
  async open(url: string): Promise<void> {
    const loaded = Promise.withResolvers<void>();
    this.#waiting.set("Page.loadEventFired", loaded);
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`The browser cannot open ${url}: ${errorText}`);
    await withDeadline(systemClock, ANSWER_MS, `the page ${url}`, loaded.promise);
  }

  /** Evaluates an expression in the page; a promise is waited for. */
  async value(expression: string): Promise<unknown> {
    const given = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", given);
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as Message).value;
  }

  /** A file with a picture of the whole page, in light or dark colours. */
  async screenshot(path: string, scheme: "light" | "dark"): Promise<void> {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.send("Emulation.setEmulatedMedia", { features });
    await this.value("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))");
    const { data } = await this.send("Page.captureScreenshot", { captureBeyondViewport: true });
    await Deno.writeFile(path, decodeBase64(data as string));
  }

  /** A file with what a printer would get. */
  async print(path: string): Promise<void> {
    const { data } = await this.send("Page.printToPDF", { printBackground: false });
    await Deno.writeFile(path, decodeBase64(data as string));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    this.#child.kill("SIGKILL");
    await this.#child.status;
    // Its own children end a moment later.
    for (let i = 0; i < 50; i++) {
      const removed = await Deno.remove(this.#profile, { recursive: true }).then(
        () => true,
        () => false,
      );
      if (removed) return;
      await delay(systemClock, 100);
    }
  }

  #onMessage(message: Message): void {
    const { id, method = "", params = {}, result = {}, error } = message as {
      readonly id?: number;
      readonly method?: string;
      readonly params?: Message;
      readonly result?: Message;
      readonly error?: Message;
    };
    if (id !== undefined) {
      const answer = this.#answers.get(id);
      this.#answers.delete(id);
      if (error) answer?.reject(new Error(JSON.stringify(error)));
      else answer?.resolve(result);
      return;
    }
    this.#waiting.get(method)?.resolve();
    if (method === "Network.requestWillBeSent") {
      this.requests.push((params.request as { url: string }).url);
    }
    if (method === "Runtime.exceptionThrown" || method === "Log.entryAdded") {
      this.complaints.push(JSON.stringify(params));
    }
  }
}

/** The port that the browser listens on, once its file is there. */
async function portIn(path: string): Promise<number> {
  const until = Date.now() + START_MS;
  while (Date.now() < until) {
    const text = await Deno.readTextFile(path).catch(() => "");
    if (text.includes("\n")) return Number(text.split("\n")[0]);
    await delay(systemClock, 100);
  }
  throw new Error(`Chromium wrote no port to ${path} within ${START_MS / 1000} s`);
}
