// A client made with ws, led by lines of JSON (scripts_test.go).
import { createInterface } from "node:readline";
import WebSocket from "ws";

let socket = null;
let received = []; // messages and, last, {closed}
let wanted = null; // who waits for the next of them

function arrived(from, answer) {
	if (from !== socket) return; // an earlier one
	if (wanted !== null) {
		wanted(answer);
		wanted = null;
	} else {
		received.push(answer);
	}
}

const event = name => new Promise(resolve => socket.once(name, (...args) => resolve(args)));

const commands = {
	dial({ url, origin, subprotocols }) {
		received = [];
		const s = socket = new WebSocket(url, subprotocols ?? [], { origin, rejectUnauthorized: false });
		s.on("message", (data, binary) => arrived(s, binary ? { binary: data.toString("base64") } : { text: data.toString() }));
		s.on("close", (code, reason) => arrived(s, { closed: { code, reason: reason.toString() } }));
		return new Promise(resolve => {
			s.on("open", () => resolve({ subprotocol: s.protocol }));
			s.on("unexpected-response", (request, response) => {
				resolve({ refused: response.statusCode });
				request.destroy();
			});
			s.on("error", err => resolve({ failed: err.message }));
		});
	},
	async send({ text, binary, fragmented }) {
		const data = text === undefined ? Buffer.from(binary ?? "", "base64") : Buffer.from(text);
		const size = fragmented ? 4093 : data.length;
		let sent = 0;
		do {
			const frame = data.subarray(sent, sent + size);
			sent += frame.length;
			const options = { binary: text === undefined, fin: sent === data.length };
			await new Promise((resolve, reject) => socket.send(frame, options, err => err ? reject(err) : resolve()));
		} while (sent < data.length);
		return {};
	},
	receive() {
		if (received.length > 0) return received.shift();
		return new Promise(resolve => { wanted = resolve; });
	},
	async ping({ payload }) {
		const pong = event("pong");
		socket.ping(payload);
		const [data] = await pong;
		return data.toString() === payload ? {} : { failed: `the pong says ${data}` };
	},
	async close({ code, reason }) {
		const end = event("close");
		socket.close(code, reason);
		const [answered, why] = await end;
		return { closed: { code: answered, reason: why.toString() } };
	},
	drop() {
		socket?.terminate();
		return {};
	},
};

for await (const line of createInterface({ input: process.stdin })) {
	const command = JSON.parse(line);
	let answer;
	try {
		answer = await commands[command.do](command);
	} catch (err) {
		answer = { failed: err.message };
	}
	process.stdout.write(JSON.stringify(answer) + "\n");
}
