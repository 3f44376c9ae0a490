package websocket_test

import (
	"testing"

	"github.com/airlock-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) {
	wstest.WithExtendedConnect()
	wstest.Main(m)
}
