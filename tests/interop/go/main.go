// A gopcua client for the tests: browses a tree, monitors many values, and tells in lines of JSON what it sees.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

const (
	pageSize       = 100
	nodesPerBrowse = 100
	itemsPerCall   = 1000
	watchedHandle  = 1_000_000
	queueSize      = 200
	// Short, because this version takes its subscriptions up again only in a new session, not in the old one.
	sessionTimeout = 5 * time.Second
)

var (
	printing sync.Mutex
	output   = json.NewEncoder(os.Stdout)
)

func tell(event string, more map[string]any) {
	line := map[string]any{"event": event}
	for name, value := range more {
		line[name] = value
	}
	printing.Lock()
	defer printing.Unlock()
	if err := output.Encode(line); err != nil {
		os.Exit(1)
	}
}

func must(err error, doing string) {
	if err != nil {
		tell("failed", map[string]any{"doing": doing, "error": err.Error()})
		os.Exit(1)
	}
}

// arguments: endpoint address, node to browse from, how many values to monitor, node of which no change may be missed
func main() {
	wanted, err := strconv.Atoi(os.Args[3])
	must(err, "reading the arguments")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	states := make(chan opcua.ConnState, 100)
	client, err := opcua.NewClient(
		os.Args[1],
		opcua.SecurityMode(ua.MessageSecurityModeNone),
		opcua.AutoReconnect(true),
		opcua.ReconnectInterval(200*time.Millisecond),
		opcua.RequestTimeout(10*time.Second),
		opcua.SessionTimeout(sessionTimeout),
		opcua.StateChangedCh(states),
	)
	must(err, "making the client")
	go func() {
		for state := range states {
			tell("state", map[string]any{"state": fmt.Sprint(state)})
		}
	}()
	must(client.Connect(ctx), "connecting")
	defer client.Close(ctx)

	nodes, variables := crawl(ctx, client, os.Args[2])
	tell("browsed", map[string]any{"nodes": nodes, "variables": len(variables)})
	if len(variables) > wanted {
		variables = variables[:wanted]
	}

	notifications := make(chan *opcua.PublishNotificationData, 1000)
	subscription, err := client.Subscribe(ctx, &opcua.SubscriptionParameters{Interval: 500 * time.Millisecond}, notifications)
	must(err, "subscribing")
	seen := &seen{handles: map[uint32]bool{}, wanted: len(variables)}
	go listen(notifications, seen)
	good := monitor(ctx, subscription, variables, os.Args[4])
	tell("monitored", map[string]any{"items": len(variables), "good": good, "subscription": subscription.SubscriptionID})

	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch strings.TrimSpace(commands.Text()) {
		case "again":
			seen.again()
		case "end":
			return
		}
	}
}

// seen tells once when every monitored value has been reported.
type seen struct {
	mutex   sync.Mutex
	handles map[uint32]bool
	wanted  int
	said    bool
	changes int
}

func (s *seen) add(handle uint32) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.changes++
	s.handles[handle] = true
	if len(s.handles) >= s.wanted && !s.said {
		s.said = true
		tell("all seen", map[string]any{"changes": s.changes})
	}
}

func (s *seen) again() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.handles, s.said, s.changes = map[uint32]bool{}, false, 0
	tell("counting anew", nil)
}

func listen(notifications <-chan *opcua.PublishNotificationData, seen *seen) {
	for notification := range notifications {
		if notification.Error != nil {
			tell("error", map[string]any{"error": notification.Error.Error()})
			continue
		}
		changes, ok := notification.Value.(*ua.DataChangeNotification)
		if !ok {
			tell("other", map[string]any{"type": fmt.Sprintf("%T", notification.Value)})
			continue
		}
		for _, item := range changes.MonitoredItems {
			if item.ClientHandle != watchedHandle {
				seen.add(item.ClientHandle)
				continue
			}
			tell("value", map[string]any{
				"source": item.Value.SourceTimestamp.UnixMilli(),
				"status": uint32(item.Value.Status),
			})
		}
	}
}

func monitor(ctx context.Context, subscription *opcua.Subscription, variables []*ua.NodeID, watched string) int {
	requests := make([]*ua.MonitoredItemCreateRequest, 0, len(variables)+1)
	for handle, node := range variables {
		request := opcua.NewMonitoredItemCreateRequestWithDefaults(node, ua.AttributeIDValue, uint32(handle))
		request.RequestedParameters.QueueSize = 1
		requests = append(requests, request)
	}
	node, err := ua.ParseNodeID(watched)
	must(err, "reading the node to watch")
	request := opcua.NewMonitoredItemCreateRequestWithDefaults(node, ua.AttributeIDValue, watchedHandle)
	request.RequestedParameters.QueueSize = queueSize
	request.RequestedParameters.Filter = ua.NewExtensionObject(
		&ua.DataChangeFilter{Trigger: ua.DataChangeTriggerStatusValueTimestamp},
	)
	requests = append(requests, request)

	good := 0
	for first := 0; first < len(requests); first += itemsPerCall {
		last := min(first+itemsPerCall, len(requests))
		response, err := subscription.Monitor(ctx, ua.TimestampsToReturnBoth, requests[first:last]...)
		must(err, "creating monitored items")
		for _, result := range response.Results {
			if result.StatusCode == ua.StatusOK {
				good++
			}
		}
	}
	return good
}

func crawl(ctx context.Context, client *opcua.Client, start string) (int, []*ua.NodeID) {
	root, err := ua.ParseNodeID(start)
	must(err, "reading the node to browse from")
	known := map[string]bool{root.String(): true}
	frontier := []*ua.NodeID{root}
	var variables []*ua.NodeID
	for len(frontier) > 0 {
		var next []*ua.NodeID
		for first := 0; first < len(frontier); first += nodesPerBrowse {
			last := min(first+nodesPerBrowse, len(frontier))
			for _, reference := range children(ctx, client, frontier[first:last]) {
				node := reference.NodeID.NodeID
				if known[node.String()] {
					continue
				}
				known[node.String()] = true
				next = append(next, node)
				// The values of units, not their properties.
				if reference.NodeClass == ua.NodeClassVariable && reference.ReferenceTypeID.IntID() == id.HasComponent {
					variables = append(variables, node)
				}
			}
		}
		frontier = next
	}
	return len(known), variables
}

func children(ctx context.Context, client *opcua.Client, nodes []*ua.NodeID) []*ua.ReferenceDescription {
	request := &ua.BrowseRequest{
		View:                          &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)},
		RequestedMaxReferencesPerNode: pageSize,
	}
	for _, node := range nodes {
		request.NodesToBrowse = append(request.NodesToBrowse, &ua.BrowseDescription{
			NodeID:          node,
			BrowseDirection: ua.BrowseDirectionForward,
			ReferenceTypeID: ua.NewNumericNodeID(0, id.HierarchicalReferences),
			IncludeSubtypes: true,
			ResultMask:      uint32(ua.BrowseResultMaskAll),
		})
	}
	response, err := client.Browse(ctx, request)
	must(err, "browsing")
	var found []*ua.ReferenceDescription
	results := response.Results
	for len(results) > 0 {
		var points [][]byte
		for _, result := range results {
			if result.StatusCode != ua.StatusOK {
				must(result.StatusCode, "browsing a node")
			}
			found = append(found, result.References...)
			if len(result.ContinuationPoint) > 0 {
				points = append(points, result.ContinuationPoint)
			}
		}
		if len(points) == 0 {
			break
		}
		more, err := client.BrowseNext(ctx, &ua.BrowseNextRequest{ContinuationPoints: points})
		must(err, "browsing on")
		results = more.Results
	}
	return found
}
