// Command awsmodel reads a public AWS service model and writes the Go that an API package needs from it: shapes with
// their constraints, request types with decoders, reply types with encoders. It writes no prose of the model.
//
//	go run ./internal/awsmodel -model botocore-1.44.5-py3-none-any.whl -out transport/kinesisapi
//
// The model may be a service-2.json, plain or gzipped, or a wheel of the botocore package. internal/awsmodel/fetch.sh
// downloads the pinned wheel into a temporary folder and runs the program. Neither wheel nor model is ever committed.
package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxModel bounds a model file after decompression.
const maxModel = 64 << 20

func main() {
	model := flag.String("model", "", "service-2.json, service-2.json.gz or a botocore wheel")
	out := flag.String("out", "", "folder of the Go package")
	flag.Parse()
	if err := run(*model, *out); err != nil {
		fmt.Fprintln(os.Stderr, "awsmodel:", err)
		os.Exit(1)
	}
}

func run(modelPath, out string) error {
	s := kinesis()
	raw, err := readModel(modelPath, s.modelPath)
	if err != nil {
		return err
	}
	var m model
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	if err := s.apply(&m); err != nil {
		return err
	}
	files, err := generate(&m, s)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil { //nolint:gosec // source code is for everyone
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// readModel returns the JSON of a model, from whatever holds it. inside is its path in a wheel.
func readModel(path, inside string) ([]byte, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the path is the user's own
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if strings.HasSuffix(path, ".whl") {
		if raw, err = fromWheel(raw, inside); err != nil {
			return nil, err
		}
	}
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("unpack model: %w", err)
		}
		return io.ReadAll(io.LimitReader(z, maxModel))
	}
	return raw, nil
}

func fromWheel(wheel []byte, inside string) ([]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		return nil, fmt.Errorf("open wheel: %w", err)
	}
	for _, name := range [...]string{inside, inside + ".gz"} {
		f, err := z.Open(name)
		if err != nil {
			continue
		}
		raw, err := io.ReadAll(io.LimitReader(f, maxModel))
		_ = f.Close() // reading from memory
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		return raw, nil
	}
	return nil, fmt.Errorf("the wheel has no %s", inside)
}
