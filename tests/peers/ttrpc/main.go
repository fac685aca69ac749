// The real TTRPC of containerd, as a peer for ours.
//
//	peer serve SOCKET   serves until stdin ends; says "ready" on stdout
//	peer call SOCKET    calls a server, and says in JSON what came back
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A server stream of ours. Its messages have no Go types; but a StringValue reads and writes their
// first field, the topic.
const streamService, streamMethod = "qemubox.guest.v1.System", "Events"

func main() {
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(os.Args[2])
	case "call":
		err = call(os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	task.RegisterTTRPCTaskService(server, &tasks{})
	server.RegisterService(streamService, &ttrpc.ServiceDesc{
		Streams: map[string]ttrpc.Stream{
			streamMethod: {StreamingServer: true, Handler: stream},
		},
	})
	go server.Serve(context.Background(), listener)
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

func stream(_ context.Context, stream ttrpc.StreamServer) (any, error) {
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return nil, err
	}
	for index := range 200 {
		if err := stream.SendMsg(wrapperspb.String(fmt.Sprintf("/%d", index))); err != nil {
			return nil, err
		}
	}
	return nil, status.Error(codes.Aborted, "stream aborted")
}

// Only what the tests call: the rest would find the embedded interface empty.
type tasks struct{ task.TTRPCTaskService }

func (*tasks) Create(_ context.Context, r *task.CreateTaskRequest) (*task.CreateTaskResponse, error) {
	return &task.CreateTaskResponse{Pid: uint32(len(r.ID) + len(r.Rootfs))}, nil
}

func (*tasks) Pause(context.Context, *task.PauseRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (*tasks) State(context.Context, *task.StateRequest) (*task.StateResponse, error) {
	failed, err := status.New(codes.NotFound, "no such task").WithDetails(&options.ProcessDetails{ExecID: "e1"})
	if err != nil {
		return nil, err
	}
	return nil, failed.Err()
}

func (*tasks) Wait(ctx context.Context, _ *task.WaitRequest) (*task.WaitResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (*tasks) Stats(_ context.Context, r *task.StatsRequest) (*task.StatsResponse, error) {
	return &task.StatsResponse{Stats: &anypb.Any{TypeUrl: r.ID, Value: make([]byte, 4<<20-100)}}, nil
}

func (*tasks) Connect(ctx context.Context, _ *task.ConnectRequest) (*task.ConnectResponse, error) {
	namespace, _ := ttrpc.GetMetadataValue(ctx, "containerd-namespace-ttrpc")
	return &task.ConnectResponse{Version: namespace}, nil
}

func call(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	service := task.NewTTRPCTaskClient(client)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen := map[string]any{}

	created, err := service.Create(ctx, &task.CreateTaskRequest{ID: "abc", Rootfs: []*types.Mount{{Type: "erofs"}}})
	if err != nil {
		return err
	}
	seen["pid"] = created.Pid
	_, err = service.Pause(ctx, &task.PauseRequest{})
	seen["pause"] = status.Code(err).String()

	_, err = service.State(ctx, &task.StateRequest{})
	failed, _ := status.FromError(err)
	seen["state"] = failed.Code().String() + ": " + failed.Message()
	for _, detail := range failed.Details() {
		seen["detail"] = detail.(*options.ProcessDetails).ExecID
	}
	_, err = service.Kill(ctx, &task.KillRequest{})
	seen["kill"] = status.Code(err).String()
	err = client.Call(ctx, "no.Service", "Method", &emptypb.Empty{}, &emptypb.Empty{})
	seen["service"] = status.Code(err).String()

	named := ttrpc.WithMetadata(ctx, ttrpc.MD{"containerd-namespace-ttrpc": {"k8s.io"}})
	connected, err := service.Connect(named, &task.ConnectRequest{})
	if err != nil {
		return err
	}
	seen["namespace"] = connected.Version

	big, err := service.Stats(ctx, &task.StatsRequest{ID: strings.Repeat("x", 4<<20-100)})
	if err != nil {
		return err
	}
	seen["big"] = len(big.Stats.Value)

	var all sync.WaitGroup
	answers := make([]uint32, 100)
	for index := range answers {
		all.Go(func() {
			request := &task.CreateTaskRequest{ID: strings.Repeat("x", index)}
			if answer, err := service.Create(ctx, request); err == nil {
				answers[index] = answer.Pid
			}
		})
	}
	all.Wait()
	seen["answers"] = answers

	topics, err := drain(ctx, client, "")
	seen["topics"], seen["stream"] = topics, fmt.Sprint(err)
	_, err = drain(ctx, client, "fail")
	seen["failed stream"] = status.Code(err).String()
	return json.NewEncoder(os.Stdout).Encode(seen)
}

func drain(ctx context.Context, client *ttrpc.Client, request string) ([]string, error) {
	// The request is not of the type that ours expects: an unknown field to it, or nothing at all.
	stream, err := client.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true},
		streamService, streamMethod, wrapperspb.String(request))
	if err != nil {
		return nil, err
	}
	var topics []string
	for {
		var topic wrapperspb.StringValue
		if err := stream.RecvMsg(&topic); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return topics, err
		}
		topics = append(topics, topic.Value)
	}
}
