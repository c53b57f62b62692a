// SPDX-License-Identifier: MIT

// Package proxy is what Traefik cannot do by itself.  It comes with the tool, as text; Traefik
// interprets it (yaegi), and needs no network for that.  Traffic passes through it only where it
// has to: pages of maintenance and errors, bodies of unknown length, and the tool's own socket.
//
// Facts of yaegi: a method's value is no function; a ResponseWriter of one's own has lost its
// Flusher and Hijacker, so none is made.
package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path"
	"sync"
	"time"
)

type Config struct {
	Socket, Address string // joins them
	Probe           bool   // passes on to X-Deploy-Upstream
	MaxBody         int64  // passes on, but no longer bodies
	Status          int    // answers
	Type, Body      string
	Retry           string
	Pages           string // folder of bodies, if there are any
}

func CreateConfig() *Config { return &Config{} }

var once sync.Once

func join(client net.Conn, address string) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, client)
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(client, server)
}

// Entry points cannot be unix sockets: this one, which only the SSH user can reach, is joined to one
// on the container's loopback.  It listens when the first configuration is in use.
func listen(socket, address string) {
	os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go join(c, address)
	}
}

// Any container, by name.
func probe() http.HandlerFunc {
	p := &httputil.ReverseProxy{
		Director: func(r *http.Request) {
			r.URL.Scheme = "http"
			r.URL.Host = r.Header.Get("X-Deploy-Upstream")
			r.Host = r.Header.Get("X-Deploy-Host")
			r.Header.Set("X-Forwarded-Proto", r.Header.Get("X-Deploy-Proto"))
			for _, k := range []string{"Upstream", "Host", "Proto"} {
				r.Header.Del("X-Deploy-" + k)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("X-Deploy-Answered", "yes")
			return nil
		},
		Transport: &http.Transport{
			DisableKeepAlives: true,
			Dial: func(network, address string) (net.Conn, error) {
				return net.DialTimeout(network, address, 2*time.Second)
			},
		},
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Deploy-Upstream") == "" {
			w.WriteHeader(404)
			return
		}
		p.ServeHTTP(w, r)
	}
}

// Without a buffer, as Traefik's own limit has one.
func limit(next http.Handler, max int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > max {
			w.Header().Set("Connection", "close")
			http.Error(w, "The request is too large.", 413)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, max)
		next.ServeHTTP(w, r)
	}
}

func answer(c *Config) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := c.Body
		if c.Pages != "" {
			own, err := os.ReadFile(path.Join(c.Pages, path.Clean("/"+r.URL.Path)))
			if err == nil {
				body = string(own)
			}
		}
		h := w.Header()
		h.Set("Content-Type", c.Type)
		h.Set("Cache-Control", "no-store")
		if c.Retry != "" {
			h.Set("Retry-After", c.Retry)
		}
		w.WriteHeader(c.Status)
		io.WriteString(w, body)
	}
}

func New(ctx context.Context, next http.Handler, c *Config, name string) (http.Handler, error) {
	if c.Socket != "" {
		once.Do(func() { go listen(c.Socket, c.Address) })
	}
	if c.Probe {
		return probe(), nil
	}
	if c.MaxBody > 0 {
		return limit(next, c.MaxBody), nil
	}
	return answer(c), nil
}
