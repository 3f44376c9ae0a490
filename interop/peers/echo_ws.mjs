// An echo server of ws for node: its README's, with compression and a limit.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({
	host: '127.0.0.1', port: 0, perMessageDeflate: true, maxPayload: 16 << 20,
});
server.on('connection', socket => {
	socket.on('error', () => {}); // the library has closed the connection
	socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.on('listening', () => console.log(`listening on ws://127.0.0.1:${server.address().port}/`));
