package joulehub;

import static org.eclipse.milo.opcua.stack.core.types.builtin.unsigned.Unsigned.uint;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.eclipse.milo.opcua.sdk.client.OpcUaClient;
import org.eclipse.milo.opcua.sdk.client.SessionActivityListener;
import org.eclipse.milo.opcua.sdk.client.UaSession;
import org.eclipse.milo.opcua.sdk.client.subscriptions.OpcUaMonitoredItem;
import org.eclipse.milo.opcua.sdk.client.subscriptions.OpcUaSubscription;
import org.eclipse.milo.opcua.stack.core.NodeIds;
import org.eclipse.milo.opcua.stack.core.security.SecurityPolicy;
import org.eclipse.milo.opcua.stack.core.types.builtin.ByteString;
import org.eclipse.milo.opcua.stack.core.types.builtin.DateTime;
import org.eclipse.milo.opcua.stack.core.types.builtin.NodeId;
import org.eclipse.milo.opcua.stack.core.types.builtin.StatusCode;
import org.eclipse.milo.opcua.stack.core.types.enumerated.BrowseDirection;
import org.eclipse.milo.opcua.stack.core.types.enumerated.DataChangeTrigger;
import org.eclipse.milo.opcua.stack.core.types.enumerated.NodeClass;
import org.eclipse.milo.opcua.stack.core.types.structured.BrowseDescription;
import org.eclipse.milo.opcua.stack.core.types.structured.BrowseResult;
import org.eclipse.milo.opcua.stack.core.types.structured.DataChangeFilter;
import org.eclipse.milo.opcua.stack.core.types.structured.ReferenceDescription;
import org.eclipse.milo.opcua.stack.core.types.structured.ViewDescription;

/** An Eclipse Milo client for the tests: browses a tree, monitors many values, tells in lines of JSON what it sees. */
public final class Watch {
  private static final int PAGE_SIZE = 100;
  private static final int NODES_PER_BROWSE = 100;
  private static final int QUEUE_SIZE = 200;

  private final Set<NodeId> seen = new HashSet<>();
  private int wanted = Integer.MAX_VALUE;
  private boolean said;

  /** Arguments: endpoint address, node to browse from, how many values to monitor, node of which nothing may be missed. */
  public static void main(String[] arguments) {
    try {
      new Watch().run(arguments);
      System.exit(0);
    } catch (Exception failure) {
      tell("\"failed\", \"error\": \"" + failure.toString().replace("\\", "/").replace("\"", "'") + "\"");
      System.exit(1);
    }
  }

  private void run(String[] arguments) throws Exception {
    OpcUaClient client =
        OpcUaClient.create(
            arguments[0],
            endpoints ->
                endpoints.stream()
                    .filter(one -> SecurityPolicy.None.getUri().equals(one.getSecurityPolicyUri()))
                    .findFirst(),
            transport -> {},
            config -> {});
    client.addSessionActivityListener(
        new SessionActivityListener() {
          @Override
          public void onSessionActive(UaSession session) {
            tell("\"active\"");
          }

          @Override
          public void onSessionInactive(UaSession session) {
            tell("\"inactive\"");
          }
        });
    client.connect();
    List<NodeId> variables = crawl(client, NodeId.parse(arguments[1]));
    if (variables.size() > Integer.parseInt(arguments[2])) {
      variables = variables.subList(0, Integer.parseInt(arguments[2]));
    }
    monitor(client, variables, NodeId.parse(arguments[3]));

    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String command = commands.readLine(); command != null; command = commands.readLine()) {
      if (command.strip().equals("end")) {
        break;
      }
      if (command.strip().equals("again")) {
        synchronized (this) {
          seen.clear();
          said = false;
        }
        tell("\"counting anew\"");
      }
    }
    client.disconnect();
  }

  private void monitor(OpcUaClient client, List<NodeId> variables, NodeId watched) throws Exception {
    OpcUaSubscription subscription = new OpcUaSubscription(client, 500.0);
    subscription.setSubscriptionListener(
        new OpcUaSubscription.SubscriptionListener() {
          @Override
          public void onTransferFailed(OpcUaSubscription failed, StatusCode status) {
            tell("\"transfer failed\", \"status\": \"" + status + "\"");
          }

          @Override
          public void onNotificationDataLost(OpcUaSubscription lossy) {
            tell("\"data lost\"");
          }
        });
    subscription.create();
    List<OpcUaMonitoredItem> items = new ArrayList<>();
    for (NodeId node : variables) {
      OpcUaMonitoredItem item = OpcUaMonitoredItem.newDataItem(node);
      item.setSamplingInterval(0);
      item.setDataValueListener((one, value) -> see(node));
      items.add(item);
    }
    OpcUaMonitoredItem every = OpcUaMonitoredItem.newDataItem(watched);
    every.setSamplingInterval(0);
    every.setQueueSize(uint(QUEUE_SIZE));
    every.setFilter(new DataChangeFilter(DataChangeTrigger.StatusValueTimestamp, uint(0), 0.0));
    every.setDataValueListener(
        (one, value) -> {
          DateTime time = value.getSourceTime();
          long status = value.getStatusCode().getValue();
          long source = time == null ? 0 : time.getJavaTime();
          tell("\"value\", \"source\": " + source + ", \"status\": " + status);
        });
    items.add(every);
    synchronized (this) {
      wanted = variables.size();
    }
    subscription.addMonitoredItems(items);
    subscription.synchronizeMonitoredItems();
    long good = items.stream().filter(one -> one.getCreateResult().map(StatusCode::isGood).orElse(false)).count();
    String id = subscription.getSubscriptionId().map(Object::toString).orElse("0");
    tell("\"monitored\", \"items\": " + variables.size() + ", \"good\": " + good + ", \"subscription\": " + id);
  }

  private synchronized void see(NodeId node) {
    seen.add(node);
    if (seen.size() >= wanted && !said) {
      said = true;
      tell("\"all seen\"");
    }
  }

  private static List<NodeId> crawl(OpcUaClient client, NodeId start) throws Exception {
    Set<NodeId> known = new HashSet<>(Set.of(start));
    List<NodeId> variables = new ArrayList<>();
    List<NodeId> frontier = List.of(start);
    while (!frontier.isEmpty()) {
      List<NodeId> next = new ArrayList<>();
      for (int first = 0; first < frontier.size(); first += NODES_PER_BROWSE) {
        int last = Math.min(first + NODES_PER_BROWSE, frontier.size());
        for (ReferenceDescription reference : children(client, frontier.subList(first, last))) {
          Optional<NodeId> node = reference.getNodeId().toNodeId(client.getNamespaceTable());
          if (node.isEmpty() || !known.add(node.get())) {
            continue;
          }
          next.add(node.get());
          if (reference.getNodeClass() == NodeClass.Variable
              && reference.getReferenceTypeId().equals(NodeIds.HasComponent)) {
            variables.add(node.get());
          }
        }
      }
      frontier = next;
    }
    tell("\"browsed\", \"nodes\": " + known.size() + ", \"variables\": " + variables.size());
    return variables;
  }

  private static List<ReferenceDescription> children(OpcUaClient client, List<NodeId> nodes) throws Exception {
    List<BrowseDescription> asked =
        nodes.stream()
            .map(
                node ->
                    new BrowseDescription(
                        node, BrowseDirection.Forward, NodeIds.HierarchicalReferences, true, uint(0), uint(63)))
            .toList();
    ViewDescription whole = new ViewDescription(NodeId.NULL_VALUE, DateTime.MIN_VALUE, uint(0));
    BrowseResult[] results = client.browse(whole, uint(PAGE_SIZE), asked).getResults();
    List<ReferenceDescription> found = new ArrayList<>();
    while (results != null && results.length > 0) {
      List<ByteString> points = new ArrayList<>();
      for (BrowseResult result : results) {
        if (!result.getStatusCode().isGood()) {
          throw new IllegalStateException("browse answered " + result.getStatusCode());
        }
        if (result.getReferences() != null) {
          found.addAll(List.of(result.getReferences()));
        }
        if (result.getContinuationPoint().isNotNull() && result.getContinuationPoint().length() > 0) {
          points.add(result.getContinuationPoint());
        }
      }
      results = points.isEmpty() ? null : client.browseNext(false, points).getResults();
    }
    return found;
  }

  private static synchronized void tell(String event) {
    System.out.println("{\"event\": " + event + "}");
    System.out.flush();
  }
}
