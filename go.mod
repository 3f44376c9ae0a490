module github.com/airlock-go/websocket

go 1.26
