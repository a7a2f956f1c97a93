package main

import (
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/prometheus/client_golang/prometheus/testutil/promlint"
	_ "github.com/prometheus/client_model/go"
	_ "github.com/sysvipc/gipc/cmd/internal/metrics"
	_ "github.com/urfave/cli/v2"
	_ "github.com/sysvipc/gipc/internal/ipctest"
)

func main() {}
